//go:build race

package main

// racing says that this is a build with the race detector, which makes
// measuring ten times slower and no better.
const racing = true
