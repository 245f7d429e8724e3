// Package starter holds the files of the first minute: a configuration with the two demo servers, people and agents of
// two tenants, and tested policies for three roles. They are copied into the directory of a new user, to be edited.
package starter

import "embed"

// Files has sallyport.yaml and beside it policy/*.cedar with their policy/*.test.yaml.
//
//go:embed sallyport.yaml policy
var Files embed.FS
