// Package importer brings the MCP servers that agent clients already have
// behind Sallyport, and back.
//
// [Find] reads the clients' own files, [NewPlan] says what would become of
// them (names, secrets, a diff for each file), [Wrap] does it and [Unwrap]
// undoes it. [Propose] suggests effects and a starter policy for a human to
// confirm.
//
// Three promises shape the code. A file is edited only where it names our
// servers: comments, order, indentation, line endings and everything else stay
// byte for byte. A backup of the whole file is durable before its first byte
// changes, so that any crash leaves a state from which Unwrap restores. And a
// credential that was found is never printed: it is a [Text], which shows
// itself masked.
package importer
