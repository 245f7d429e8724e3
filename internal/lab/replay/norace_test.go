//go:build !race

package replay

const racing = false
