//go:build race

package soap_test

// slack is how many times the limits of time are what they are without the race
// detector, which slows some things down more than others.
const slack = 4
