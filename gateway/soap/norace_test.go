//go:build !race

package soap_test

const slack = 1 // in the limits of time
