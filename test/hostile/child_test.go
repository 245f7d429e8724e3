package hostile

// childMode makes the test binary a stdio server that misbehaves.
const childMode = "HOSTILE_CHILD"

func beChild(string) {}
