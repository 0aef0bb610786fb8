# Shared by run and nightly, which source it from the root of the repository.
# shellcheck shell=bash

current=         # the section that is running
passed=0         # sections that ended well
scratch=         # everything temporary is in here
made_user=       # the account that this run created, to be deleted again
CI_USER=driftless-ci

# die ends the run with a reason. What failed is printed by finish.
die() {
	echo "ci: $*" >&2
	exit 1
}

# section NAME COMMAND... runs a command, prints its name before and its time after.
# set -e ends the run inside it on the first failure.
section() {
	current=$1
	shift
	local start=$SECONDS
	printf '\n=== %s\n' "$current"
	"$@"
	printf -- '--- %s: %d s\n' "$current" $((SECONDS - start))
	current=
	passed=$((passed + 1))
}

# skip says which part of a section is left out, and why.
skip() {
	echo "SKIPPED: $*"
}

# finish is the exit trap: it cleans up and prints the closing line.
finish() {
	local code=$?
	set +e
	[[ -z $made_user ]] || userdel "$made_user"
	[[ -z $scratch ]] || rm -rf "$scratch"
	echo
	if [[ $code -ne 0 ]]; then
		echo "ci: FAILED in section \"${current:-start}\", exit status $code, after $SECONDS s"
		echo "sections: $passed passed, 1 failed"
	else
		echo "ci: passed in $SECONDS s"
		echo "sections: $passed passed, 0 failed"
	fi
}

# start prepares the run: a scratch directory that other users may enter, and git
# that does not mind who owns the checkout.
start() {
	trap finish EXIT
	# At the end: what the caller has chosen comes first.
	PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin
	command -v go >/dev/null || die "no go command in PATH, nor in /usr/local/go/bin"
	unset GOWORK DRIFTLESS_REQUIRE
	umask 022
	scratch=$(mktemp -d)
	chmod 755 "$scratch"
	export GIT_CONFIG_GLOBAL=$scratch/gitconfig
	printf '[safe]\n\tdirectory = *\n' >"$GIT_CONFIG_GLOBAL"
	go version
}

am_root() { [[ $(id -u) -eq 0 ]]; }

# find_modules fills two arrays with directories: modules has what go.work ties
# together, others what it leaves out because it needs a newer Go.
find_modules() {
	local list file dir
	list=$(go list -m -f '{{.Dir}}')
	mapfile -t modules <<<"$list"
	others=()
	list=$(find . -name go.mod -not -path '*/testdata/*' -not -path '*/.*/*' | sort)
	for file in $list; do
		dir=$(cd "$(dirname "$file")" && pwd -P)
		[[ " ${modules[*]} " == *" $dir "* ]] || others+=("$dir")
	done
}

# install_packages brings what the tests need beside Go, if any of it is missing.
install_packages() {
	local missing=() want command package
	for want in gcc:gcc git:git strace:strace mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs \
		mkfs.btrfs:btrfs-progs modprobe:kmod losetup:mount runuser:util-linux useradd:passwd sqlite3:sqlite3; do
		command=${want%%:*} package=${want#*:}
		command -v "$command" >/dev/null || missing+=("$package")
	done
	[[ -e /usr/include/stdio.h ]] || missing+=(libc6-dev)
	[[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
	if [[ ${#missing[@]} -eq 0 ]]; then
		echo "nothing is missing"
	elif ! am_root; then
		skip "not root, cannot install ${missing[*]}; tests that need them are skipped too"
	else
		command -v apt-get >/dev/null || die "cannot install ${missing[*]}: no apt-get"
		export DEBIAN_FRONTEND=noninteractive
		apt-get -qq update
		apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
	fi
}
