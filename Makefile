# Everything happens in $(VENV), which is made when it is first needed.

PYTHON ?= python3
VENV ?= .venv
# Wheels only: building a source distribution would fetch build tools that no lock names.
PIP = $(BIN)/python -m pip --disable-pip-version-check -qq
PIP_INSTALL = $(PIP) install --only-binary :all:
PIP_INSTALL_OLDEST = $(PIP) --python $(OLDEST)/bin/python install --only-binary :all:

BIN = $(VENV)/bin
OLDEST = $(VENV)/oldest
ARGS ?=
TOO_OLD = 'import sys; sys.version_info >= (3, 11) or sys.exit("sockd needs Python 3.11 or later; $(PYTHON) is " + sys.version.split()[0])'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-quick test-chat test-client test-once test-oldest test-uvloop test-epoll test-asyncio bench bench-quick bench-client bench-travesty bench-tools soak goals lint docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo '  ARGS="..." is handed to sockd, pytest or pip-compile; PYTHON=... names the interpreter'

run: $(VENV)/.run ## start sockd with its built-in config, or with ARGS=FILE
	@$(BIN)/sockd run $(ARGS)

# What runs no reactor, says itself which one, or is the same on all: once is enough, in three parts
# that take as long as each other.
CHAT = $(wildcard tests/real/test_chat_*.py) $(addprefix tests/,chat client/chat \
  client/commands/test_chat.py client/commands/test_chat_running.py real/test_old_chat_servers.py \
  real/test_suggestions.py real/test_transcripts.py)
CLIENT = $(filter-out tests/client/test_doors.py tests/client/test_calling.py, \
  $(wildcard tests/client/test_*.py tests/real/test_client_*.py)) \
  $(filter-out $(CHAT),$(wildcard tests/client/commands/test_*.py)) \
  $(addprefix tests/,client/measure client/net/test_lan.py client/outputs \
  client/travesty/test_terminal.py formats travesty)
ONCE = $(addprefix tests/,access/test_bans.py access/test_buckets.py access/test_off.py \
  access/test_prefixes.py access/test_refusals.py access/test_verdict.py benchmarks config \
  daemon/test_plan_text.py external importer listen/test_fields.py listen/test_kept_names.py \
  listen/test_socket_owners.py listen/test_strings.py net/test_queues.py ops/cli \
  ops/control/test_answers_page.py ops/control/test_any_arguments.py \
  ops/control/test_arguments.py ops/control/test_ban_commands.py ops/control/test_client.py \
  ops/control/test_frames.py ops/control/test_page.py ops/control/test_switches.py \
  ops/control/test_talking.py ops/doctor ops/manual ops/metrics/test_counted.py \
  ops/metrics/test_monitoring.py ops/metrics/test_process.py ops/metrics/test_reasons.py \
  ops/metrics/test_texts.py ops/test_ban_file.py ops/test_bans.py ops/test_broken_configs.py \
  ops/test_lag.py ops/test_log_journal.py ops/test_log_rates.py ops/test_log_rotation.py \
  ops/test_log_start.py ops/test_logs.py ops/test_manager.py ops/test_notify.py \
  ops/test_reload_command.py ops/test_restart.py ops/test_store.py ops/test_switches.py \
  ops/test_threads.py ops/test_upgrade.py ops/test_upgrade_steps.py options \
  reactor/test_differential.py reactor/test_foundations.py reactor/test_twisted.py \
  reactor/test_uv.py real/test_import.py real/test_log_tools.py real/test_metrics.py \
  real/test_rdate.py real/test_socket_activation.py security/test_g11_local.py \
  security/test_g5_injection.py security/test_g7_factor.py security/test_log_readers.py \
  security/test_r2_kill.py security/test_r8_disk.py test_background.py test_background_reloads.py \
  test_background_starts.py test_cli.py test_cli_shows.py test_clients_page.py test_container.py \
  test_docs.py test_etc.py test_events_page.py test_operations.py test_packaging.py \
  test_plugins.py test_startup.py test_style.py test_traps.py test_twistd.py)
REACTORS = uvloop epoll asyncio
# Attackers, and programs of others, meet ours and the one that Twisted takes by itself; all else is
# tried on asyncio's too, of which ours is made.
NOT_ON_asyncio = tests/real tests/security
# What stands on private parts of Twisted. The newest Twisted and uvloop are those of the lock, which
# `make lock ARGS=--upgrade` moves on.
BUILT_ON = $(addprefix tests/,reactor net/test_listener.py net/test_proxy.py net/test_tls_stream.py \
  net/test_urgent_transport.py net/test_urgent_sending.py)
# Parts of the suite side by side: three keep two processors busy.
JOBS ?= 3

test: $(VENV)/.dev $(OLDEST)/.ready ## lint, then the suite on three reactors, and the reactor on the oldest Twisted
	$(MAKE) --jobs=$(JOBS) --output-sync lint test-client test-once test-chat $(REACTORS:%=test-%) test-oldest

test-quick: $(VENV)/.dev ## the test suite, on uvloop only
	$(BIN)/pytest $(ARGS)

test-chat: $(VENV)/.dev
	$(BIN)/pytest $(CHAT) $(ARGS)

test-client: $(VENV)/.dev
	$(BIN)/pytest $(CLIENT) $(ARGS)

test-once: $(VENV)/.dev
	$(BIN)/pytest $(ONCE) $(ARGS)

$(REACTORS:%=test-%): test-%: $(VENV)/.dev
	$(BIN)/pytest --reactor=$* $(patsubst %,--ignore=%,$(CHAT) $(CLIENT) $(ONCE) $(NOT_ON_$*)) $(ARGS)

# Twisted's own suites are run with the newest alone. Before 26.10 Twisted forgot the socket of a port
# that cannot listen, of which one test would complain.
test-oldest: $(OLDEST)/.ready ## the reactor on the oldest Twisted and uvloop that are allowed
	$(OLDEST)/bin/python -m pytest --ignore=tests/reactor/test_twisted.py \
	  --deselect=tests/reactor/test_stream_ends.py::test_a_port_that_is_taken_is_told_by_the_call_itself \
	  $(BUILT_ON) $(ARGS)

bench: $(VENV)/.dev bench-tools ## measure sockd beside its peers, into benchmarks/results.md; ARGS="--before DIR": and an older one
	$(BIN)/python -m benchmarks --output benchmarks $(ARGS)

bench-quick: $(VENV)/.dev bench-tools ## the same in two minutes, less exact and not kept
	@$(BIN)/python -m benchmarks --quick $(ARGS)

bench-client: $(VENV)/.dev bench-tools ## measure the client beside one in C, and where it begins to measure itself
	@$(BIN)/python -m benchmarks.client $(ARGS)

bench-travesty: $(VENV)/.dev ## measure what travesty learns and makes up beside the same in Perl
	@$(BIN)/python -m benchmarks.travesty $(ARGS)

soak: $(VENV)/.dev bench-tools ## full load for SECONDS (600): nothing may grow
	@$(BIN)/python -m benchmarks.soak $(SECONDS) $(ARGS)

# As root: the last makes network namespaces.
GOALS ?= goals reloads upgrades kills interfaces
goals: $(VENV)/.dev bench-tools ## what sockd is to bear: load, 50 reloads, 20 upgrades, 50 kills, an interface that goes; GOALS="kills": one of them
	@for each in $(GOALS); do echo "$$each:" && $(BIN)/python -m benchmarks.$$each $(ARGS) || exit; done

lint: $(VENV)/.dev ## style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(wildcard src tests twisted/plugins benchmarks docs)
	$(BIN)/lint-imports

docs: $(VENV)/.run ## write docs/services, the man pages and the completions from the tables of the code
	$(BIN)/python docs/generate.py

# The oldest Python locks, because only it needs the packages that later ones have built in.
COMPILE = CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --allow-unsafe
lock: $(VENV)/.dev ## write the requirements files anew; ARGS=--upgrade takes newer versions
	@$(BIN)/python -c 'import sys; sys.version_info[:2] == (3, 11) or sys.exit("make lock needs Python 3.11, the oldest that sockd runs on")'
	$(COMPILE) $(ARGS) --output-file requirements.txt pyproject.toml
	$(COMPILE) $(ARGS) --constraint requirements.txt --extra dev --output-file requirements-dev.txt pyproject.toml
	$(COMPILE) $(ARGS) --constraint requirements-dev.txt --only-build-deps --build-deps-for editable --output-file requirements-build.txt pyproject.toml
	sed -n 's/^ *"\(Twisted\|uvloop\)[^>]*>=\([0-9.]*\).*",$$/\1==\2/p' pyproject.toml | \
	  $(COMPILE) $(ARGS) --output-file requirements-oldest.txt -

clean: ## remove the environment and everything else that was made
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache _trial_temp*
	find src tests twisted benchmarks \( -name __pycache__ -o -name dropin.cache \) -prune -exec rm -rf {} + 2>/dev/null || true

# What the benchmark compiles. Without the load generator there is none; without a peer, its row says
# so. Debian's xinetd displaces openbsd-inetd where it is installed, so it is only unpacked.
BENCH = $(VENV)/bench
NEEDS = echo "the whole benchmark needs, on Debian: gcc libssl-dev golang-go perl openbsd-inetd" >&2
bench-tools: $(BENCH)/load $(BENCH)/epoll $(BENCH)/tls $(BENCH)/net $(BENCH)/xinetd/usr/sbin/xinetd

$(BENCH)/load: $(wildcard benchmarks/load/*.[ch])
	@mkdir -p $(@D)
	@$(CC) -O2 -o $@ $(filter %.c,$^) -lssl -lcrypto || { $(NEEDS); exit 1; }

$(BENCH)/epoll $(BENCH)/tls: $(BENCH)/%: benchmarks/peers/%.c benchmarks/peers/loopback.h
	@mkdir -p $(@D)
	@$(CC) -O2 -o $@ $< $(LIBS) || { $(NEEDS); exit 1; }
$(BENCH)/tls: LIBS = -lssl -lcrypto

$(BENCH)/net: benchmarks/peers/net.go
	@mkdir -p $(@D)
	@go build -o $@ $< || $(NEEDS)

$(BENCH)/xinetd/usr/sbin/xinetd: benchmarks/peers/fetch-xinetd.sh
	@command -v xinetd >/dev/null || { sh $< $(BENCH)/xinetd && touch $@; } || echo "xinetd cannot be fetched" >&2

$(VENV)/.run: requirements.txt requirements-build.txt pyproject.toml
	@echo 'installing sockd in $(VENV) ...'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(PYTHON) -c $(TOO_OLD) && $(PYTHON) -m venv --clear $(VENV); }
	@$(PIP_INSTALL) --require-hashes -r requirements.txt -r requirements-build.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo 'installing the tools for tests in $(VENV) ...'
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

# An environment in front of the other, of which it has all but Twisted and uvloop.
$(OLDEST)/.ready: $(VENV)/.dev requirements-oldest.txt
	@echo 'installing the oldest Twisted and uvloop that are allowed in $(OLDEST) ...'
	@$(BIN)/python -m venv --clear --without-pip $(OLDEST)
	@$(PIP_INSTALL_OLDEST) --require-hashes -r requirements-oldest.txt
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	  >$$($(OLDEST)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/rest.pth
	@$(PIP_INSTALL_OLDEST) --no-deps --no-build-isolation --editable .
	@touch $@
