// A module of its own, so that the product does not depend on leaves.
module churn/model/gbdt/peers/leaves

go 1.26

require github.com/dmitryikh/leaves v0.0.0-20230708180554-25d19a787328
