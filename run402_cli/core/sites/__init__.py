"""What a site answers: files, names, languages."""
