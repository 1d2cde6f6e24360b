package kernel

import "math"

// Block is the number of rows over which sums of floating-point numbers are
// formed; sums of blocks are added in order. A fixed number, so that threads
// do not matter.
const Block = 4096

// Gradients computes the derivatives of the log loss of rows with scores in
// log-odds and sign 1 (label 1) or -1 (label 0), times weight:
//
//	g = -sign/(1+exp(sign*score)) * weight,  h = |g|(1-|g|) * weight
//
// in float32, with an error of a few units in the last place, and the sums of
// |g| and of h. All slices have the length of score, at most Block; weight
// may be nil.
func Gradients(g, h []float32, score []float64, sign, weight []float32) (sumG, sumH float64) {
	n := len(score)
	return gradients(g[:n], h[:n], score, sign[:n], weight)
}

func gradientsGo(g, h []float32, score []float64, sign, weight []float32) (sumG, sumH float64) {
	var sums laneSums
	gradientRows(&sums, g, h, score, sign, weight)
	return sum8(&sums.g), sum8(&sums.h)
}

// laneSums are the sums of |g| and of h of eight lanes, as a vector unit forms
// them: row i is in lane i%8.
type laneSums struct{ g, h [8]float64 }

// gradientRows is Gradients for rows of which the first is in lane 0; it adds
// to sums.
func gradientRows(sums *laneSums, g, h []float32, score []float64, sign, weight []float32) {
	for i, s := range score {
		m := 1 / (1 + exp(float32(s)*sign[i])) // |g|
		hi := float32(m * (1 - m))
		if weight != nil {
			m = float32(m * weight[i])
			hi = float32(hi * weight[i])
		}
		g[i], h[i] = float32(m*-sign[i]), hi
		sums.g[i%8] += float64(m)
		sums.h[i%8] += float64(hi)
	}
}

func sum8(lane *[8]float64) float64 {
	return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]))
}

// Constants of exp: the range in which result and intermediate powers of two
// are normal float32 numbers, and Cody and Waite's two parts of ln 2.
const (
	expMin, expMax = -87, 87
	log2e          = 1.44269504088896341
	ln2High        = 0.693359375
	ln2Low         = -2.12194440e-4
	roundMagic     = 1<<23 + 1<<22 // adding and subtracting it rounds to a whole number
)

// Coefficients of the polynomial of Cephes' expf, by S. Moshier, highest power
// first: exp(r) = 1 + r + r*r*(p0*r^5 + ... + p5).
const (
	p0 = 1.9875691500e-4
	p1 = 1.3981999507e-3
	p2 = 8.3334519073e-3
	p3 = 4.1665795894e-2
	p4 = 1.6666665459e-1
	p5 = 5.0000001201e-1
)

// exp is e^x for x cut to [expMin, expMax]; NaN gives expMin's value.
func exp(x float32) float32 {
	if !(x > expMin) {
		x = expMin
	}
	if x > expMax {
		x = expMax
	}
	k := float32(float32(x*log2e)+roundMagic) - roundMagic
	r := x - float32(k*ln2High)
	r -= float32(k * ln2Low)
	// Terms in pairs: operations wait for fewer others than in Horner's rule.
	r2 := float32(r * r)
	p := float32(r2*(float32(p0*r)+p1)) + (float32(p2*r) + p3)
	p = float32(r2*p) + (float32(p4*r) + p5)
	p = float32(float32(r2*p)+r) + 1
	return p * math.Float32frombits(uint32(int32(k)+127)<<23)
}

// Quantise rounds g*gScale and h*hScale of rows first, first+1, ... to whole
// numbers, up with the probability of the fraction cut off, and packs them
// into q. The randomness is a function of row and seed alone. |g|*gScale and
// h*hScale must be below 2^31.
func Quantise(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32) {
	n := len(q)
	quantise(q, g[:n], h[:n], gScale, hScale, first, seed)
}

func quantiseGo(q []uint64, g, h []float32, gScale, hScale float32, first, seed uint32) {
	for i := range q {
		r := mix((first+uint32(i))*0x9E3779B1 ^ seed)
		gq := floor(float32(g[i]*gScale) + float32(float32(r&0xffff)*(1.0/65536)))
		hq := floor(float32(h[i]*hScale) + float32(float32(r>>16)*(1.0/65536)))
		q[i] = uint64(uint32(gq))<<32 | uint64(uint32(hq))
	}
}

func floor(x float32) int32 { return int32(math.Floor(float64(x))) }

// mix is the finaliser of MurmurHash3, by A. Appleby.
func mix(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x85EBCA6B
	x ^= x >> 13
	x *= 0xC2B2AE35
	return x ^ x>>16
}
