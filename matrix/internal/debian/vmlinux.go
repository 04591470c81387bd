package debian

func extractELF(dir, image string) (string, error) { return "", nil }
