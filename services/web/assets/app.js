// What moves without a reload. Every page works without it.
