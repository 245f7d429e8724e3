// Package plain compares texts as people read them: it undoes encodings,
// leaves out what separates letters, and reads numbers and days however they
// are written. It is pure, and linear in what it is given.
package plain
