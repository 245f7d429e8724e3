//go:build race

package replay

// racing says that this is a build with the race detector, which makes
// measuring ten times slower and no better.
const racing = true
