# The part of the run that an ordinary user does. Sourced by run.
# shellcheck shell=bash

# make_user creates the account, unless it is there, and gives it a home, a module
# proxy with what this machine has downloaded already, and a clone of its own.
make_user() {
	home=$scratch/home
	if ! id -u "$CI_USER" >/dev/null 2>&1; then
		useradd --system --no-create-home --home-dir /nonexistent --user-group "$CI_USER"
		made_user=$CI_USER
	fi
	mkdir -p "$home/tmp"
	# A copy, since the cache of root is often in a directory closed to others. Its
	# layout is that of a proxy.
	mkdir -p "$(go env GOMODCACHE)/cache/download"
	cp -r "$(go env GOMODCACHE)/cache/download" "$scratch/proxy"
	chmod -R a+rX "$scratch/proxy"
	if git rev-parse --verify -q HEAD >/dev/null; then
		[[ -z $(git status --porcelain) ]] || echo "note: the clone has the last commit, not the uncommitted changes"
		git clone -q "file://$PWD" "$home/driftless"
	else
		die "not a git checkout with a commit: there is nothing to clone"
	fi
	chown -R "$CI_USER:" "$home"
}

# user_environment fills the array with what the ordinary user's go command has to
# know: the settings of this one, but directories of its own.
user_environment() {
	environment=(
		HOME="$home" USER="$CI_USER" LOGNAME="$CI_USER" TMPDIR="$home/tmp" PATH="$PATH"
		GOENV=off GOPATH="$home/go" GOBIN= GOTMPDIR=
		GOMODCACHE="$home/go/pkg/mod" GOCACHE="$home/cache"
	)
	local changed name
	changed=$(go env -changed)
	for name in $(sed -n 's/^\([A-Z0-9_]*\)=.*/\1/p' <<<"$changed"); do
		case $name in
		GOENV | GOPATH | GOBIN | GOTMPDIR | GOMODCACHE | GOCACHE | GOPROXY | GOWORK | GOMOD) ;;
		*) environment+=("$name=$(go env "$name")") ;;
		esac
	done
	environment+=(GOPROXY="file://$scratch/proxy,$(go env GOPROXY)")
}

# as_user runs a command in the clone as the ordinary user.
as_user() {
	(
		cd "$home/driftless"
		runuser -u "$CI_USER" -- env -u DRIFTLESS_REQUIRE -u XDG_CACHE_HOME -u XDG_CONFIG_HOME "${environment[@]}" "$@"
	)
}

# test_as_user runs the two commands of the README as an ordinary user.
test_as_user() {
	if ! am_root; then
		go test work
		main_job go
		return
	fi
	local home environment
	make_user
	user_environment
	as_user go version
	as_user go test work
	main_job as_user go
}
