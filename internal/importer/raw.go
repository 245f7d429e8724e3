package importer

import "sallyport"

// ToolOf reads a tool as a server's list shows it.
func ToolOf(raw sallyport.Value) Tool {
	text := func(name string) string {
		text, _ := raw.Get(name).Text()
		return text
	}
	hint := func(name string) *bool {
		switch raw.Get("annotations").Get(name).Type() {
		case sallyport.True:
			return new(true)
		case sallyport.False:
			return new(false)
		default:
			return nil
		}
	}
	return Tool{
		Name: text("name"), Title: text("title"), Description: text("description"),
		ReadOnlyHint: hint("readOnlyHint"), DestructiveHint: hint("destructiveHint"),
	}
}
