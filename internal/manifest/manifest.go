// Package manifest knows what a server says of itself: its items, their
// digests, how two manifests differ, and whether arguments fit a schema.
package manifest

import "sallyport"

// Key names one item: "tool:refund", "prompt:draft", "template:desk://{id}",
// "server" for the server's own words (instructions and serverInfo).
type Key string

// Item is one pinned part of a manifest.
type Item struct {
	Key    Key
	Raw    sallyport.Value  // as the server sent it
	Digest sallyport.Digest // of its canonical bytes
}

// Manifest is the whole of what a server says of itself.
type Manifest struct {
	Server string
	Items  map[Key]Item
}
