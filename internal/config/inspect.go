package config

import "sallyport/internal/inspect"

// findingNames are the names of findings that policies may ask for.
func findingNames() []string { return inspect.Names }
