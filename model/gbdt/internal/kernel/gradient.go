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
	// The sums are those of eight lanes, as a vector unit forms them.
	var laneG, laneH [8]float64
	for i, s := range score {
		m := 1 / (1 + exp(float32(s)*sign[i])) // |g|
		hi := float32(m * (1 - m))
		if weight != nil {
			m = float32(m * weight[i])
			hi = float32(hi * weight[i])
		}
		g[i], h[i] = float32(m*-sign[i]), hi
		laneG[i%8] += float64(m)
		laneH[i%8] += float64(hi)
	}
	return sum8(&laneG), sum8(&laneH)
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

// expPoly are the coefficients of the polynomial of Cephes' expf, by S. Moshier,
// highest power first: exp(r) = 1 + r + r*r*(p0*r^5 + ... + p5).
var expPoly = [6]float32{
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
	4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
}

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
	p := expPoly[0]
	for _, c := range expPoly[1:] {
		p = float32(p*r) + c
	}
	p = float32(float32(p*float32(r*r))+r) + 1
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
