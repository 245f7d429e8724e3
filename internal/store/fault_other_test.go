//go:build !(linux && amd64)

package store

func supervised(string) {}
