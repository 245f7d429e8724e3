package upstream

func beChild(mode string) {}
