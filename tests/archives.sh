# The Debian archives that this machine's own apt uses: sourced by what makes
# roots with debootstrap.

suite=bookworm

# "URI suite component..." of every binary archive that apt here uses and that
# Debian's keyring signs for; others are of no use to a base Debian.
archives() {
	apt-get indextargets --format \
		'$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' |
		awk -v suite="$suite" '
			$4 == "Packages" && index($2, suite) == 1 {
				print $1, $2, $3 }' | sort -u
}

# The archive that SUITE itself comes from.
mirror() {
	archives | awk -v suite="$suite" '$2 == suite && $3 == "main" {
		print $1; exit }'
}
