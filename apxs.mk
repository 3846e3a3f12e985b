# SPDX-License-Identifier: Apache-2.0
#
# mod_webhook: everything that can be built, run and tested. Plain GNU make.
#
#   make -f apxs.mk            the module .build/mod_webhook.so and the tool .build/webhookctl
#   make -f apxs.mk run        a private Apache with a demonstration, kept serving  (PORT= RUN_ONCE=1)
#   make -f apxs.mk test       guards, unit tests, fuzz corpus, the whole suite     (TESTS="t/00-load.t …")
#   make -f apxs.mk check      the part of it that needs no server
#   make -f apxs.mk install    into Apache; uninstall: out of it again               (DESTDIR= PREFIX=)
#   make -f apxs.mk chaos      kill loops                                          (CYCLES= SEED= FAULT=F2 MPM=)
#   make -f apxs.mk mutations  changed requests that must all be refused            (COUNT=1000000)
#   make -f apxs.mk dudect     does the time of a comparison tell anything?         (SAMPLES=1000000)
#   make -f apxs.mk schemas            GitHub's schemas and ajv's verdicts on them, from npm, for check and bench
#   make -f apxs.mk asan | valgrind | fuzz | bench | deps | clean
#
# Settings: APXS CC CFLAGS LDFLAGS DESTDIR PREFIX STATEDIR WERROR=0 V=1 BUILD JOBS.

# Everything below is relative to this directory; from elsewhere, go there first.
ifneq ($(lastword $(MAKEFILE_LIST)),apxs.mk)
.DEFAULT_GOAL := all
GOALS := $(or $(MAKECMDGOALS),all)
.PHONY: $(GOALS)
$(GOALS): ; @$(MAKE) --no-print-directory -C "$(dir $(lastword $(MAKEFILE_LIST)))" -f apxs.mk $@
else

VERSION  := 0.2.0
APXS     ?= apxs
PREFIX   ?= /usr/local
STATEDIR ?= /var/lib/webhook
BUILD    ?= .build
WERROR   ?= 1
SANITIZE ?=
ifeq ($(origin CC),default)
CC       := gcc
endif
MAKEFLAGS += --no-print-directory
Q        := $(if $(filter 1,$(V)),,@)
say       = $(if $(Q),@printf '  %-4s %s\n' $(1) $(2))
JOBS     ?= $(shell nproc 2>/dev/null || echo 1)
SELF     := $(MAKE) -f apxs.mk $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
export APXS CC BUILD PREFIX DESTDIR VERSION STATEDIR V

MODULE := $(BUILD)/mod_webhook.so
TOOL   := $(BUILD)/webhookctl
LIB    := $(BUILD)/libwebhook.a

all: $(MODULE) $(TOOL)

# Goals that install what they need, then build in a make of their own: before
# that there may be no compiler to ask for its flags.
OUTER := deps run test bench schemas chaos asan valgrind fuzz mutations dudect clean uninstall
.PHONY: all check install units modules benches $(OUTER)

deps:
	$(Q)build/deps.sh $(or $(GOAL),build)
run:
	$(Q)build/deps.sh run && $(SELF) all && exec build/run.sh
test:
	$(Q)build/deps.sh test && $(SELF) all modules && $(SELF) check && t/TEST $(TESTS)
bench:
	$(Q)build/deps.sh bench && $(SELF) all modules benches && exec build/bench.sh
schemas:
	$(Q)build/schemas.sh $(BUILD)
chaos:
	$(Q)build/deps.sh test && $(SELF) BUILD=$(BUILD)/crash CPPFLAGS='$(CPPFLAGS) -DWH_CRASH_POINTS' all modules \
	  && WEBHOOK_BUILD=$(BUILD)/crash WEBHOOK_CYCLES=$(or $(CYCLES),50) WEBHOOK_SEED=$(SEED) WEBHOOK_FAULT=$(FAULT) WEBHOOK_MPM=$(MPM) \
	  WEBHOOK_TEST_TIMEOUT=86400 t/TEST t/80-kill-loops.t
asan:
	$(Q)build/deps.sh test && $(SELF) BUILD=$(BUILD)/asan SANITIZE=1 all modules check \
	  && WEBHOOK_BUILD=$(BUILD)/asan WEBHOOK_ASAN="$$($(CC) -print-file-name=libasan.so)" t/TEST $(TESTS)
valgrind:
	$(Q)build/deps.sh valgrind && $(SELF) units && build/units.sh $(BUILD) valgrind
fuzz:
	$(Q)build/deps.sh fuzz && build/fuzz.sh $(or $(SECONDS),60)
mutations:
	$(Q)build/deps.sh test && $(SELF) $(BUILD)/unit/test_verify_mutations \
	  && $(BUILD)/unit/test_verify_mutations $(or $(COUNT),1000000) github stripe slack shopify twilio-form
dudect:
	$(Q)build/deps.sh build && $(SELF) $(BUILD)/dudect/compare && $(BUILD)/dudect/compare $(or $(SAMPLES),1000000)
clean:
	$(Q)rm -rf $(BUILD)
uninstall:
	$(Q)build/install.sh uninstall

ifneq ($(filter-out $(OUTER),$(or $(MAKECMDGOALS),all)),)

FLAGS := $(BUILD)/flags.mk
KEY   := $(CC)|$(APXS)|$(CPPFLAGS)|$(CFLAGS)|$(LDFLAGS)|$(SANITIZE)|$(WERROR)|$(STATEDIR)|$(VERSION)|$(PKG_CONFIG_PATH)
ifneq ($(shell CC='$(CC)' APXS='$(APXS)' USERFLAGS='$(CPPFLAGS) $(CFLAGS)' SANITIZE='$(SANITIZE)' WERROR='$(WERROR)' \
         build/flags.sh '$(FLAGS)' '$(KEY)' || echo failed),)
$(error cannot find out how to build)
endif
include $(FLAGS)

rooms    = $(foreach room,$(1),$(wildcard mod_webhook/$(room)/*.c))
objects  = $(patsubst mod_webhook/%.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJ := $(call objects,$(call rooms,core verify validate store dispatch))
MOD_OBJ := $(call objects,$(call rooms,httpd))
CTL_OBJ := $(call objects,$(call rooms,ctl))
UNITS   := $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(wildcard t/unit/test_*.c))
FUZZERS := $(patsubst t/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard t/fuzz/fuzz_*.c))
# helpers of the tests: mod_*.c are httpd modules, shim_*.c are preloaded, the rest are programs
HELPERS := $(wildcard t/modules/*.c)
HELP_SO := $(patsubst t/modules/%.c,$(BUILD)/modules/%.so,$(filter t/modules/mod_% t/modules/shim_%,$(HELPERS)))
HELP_EX := $(patsubst t/modules/%.c,$(BUILD)/modules/%,$(filter-out t/modules/mod_% t/modules/shim_%,$(HELPERS)))

COMPILE = $(CC) -std=gnu11 -fPIC -MMD -MP $(HARDEN) $(WARN) $(SAN) -Imod_webhook -Iinclude $(APRINC) \
          -DWH_STATE_DIR='"$(STATEDIR)"' -DWH_VERSION='"$(VERSION)"' $(CPPFLAGS)
PROGRAM = $(CC) $(HARDEN) $(SAN) $(CFLAGS) $(LDHARD) $(LDFLAGS)
NEEDS   := $(FLAGS) apxs.mk

# The module record has no visibility attribute of its own, so only the library is compiled hidden;
# module.map hides the rest.
$(BUILD)/obj/httpd/%.o: mod_webhook/httpd/%.c $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(HTTPINC) $(CFLAGS) -c $< -o $@
$(BUILD)/obj/%.o: mod_webhook/%.c $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) -fvisibility=hidden $(CFLAGS) -c $< -o $@

# The lists of objects are in stamps too: a source that went away must leave the archive.
$(LIB): $(LIB_OBJ) $(BUILD)/objects.stamp
	$(call say,AR,$@)
	$(Q)rm -f $@ $@.tmp && $(AR) rcs $@.tmp $(LIB_OBJ) && mv $@.tmp $@
$(MODULE): $(MOD_OBJ) $(LIB) build/module.map $(BUILD)/objects.stamp
	$(call say,LD,$@)
	$(Q)$(PROGRAM) -shared -fPIC -Wl,--version-script=build/module.map -o $@ $(MOD_OBJ) $(LIB) $(LIBS)
$(TOOL): $(CTL_OBJ) $(LIB) $(BUILD)/objects.stamp
	$(call say,LD,$@)
	$(Q)$(PROGRAM) -o $@ $(CTL_OBJ) $(LIB) $(APRLIBS) $(LIBS)
$(BUILD)/objects.stamp: FORCE
	$(Q)mkdir -p $(@D); echo '$(LIB_OBJ) $(MOD_OBJ) $(CTL_OBJ)' | cmp -s - $@ || echo '$(LIB_OBJ) $(MOD_OBJ) $(CTL_OBJ)' > $@
.PHONY: FORCE
FORCE:

$(BUILD)/unit/%: t/unit/%.c $(LIB) $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) -Wl,--as-needed $(CFLAGS) -MF $@.d -MT $@ $< -o $@ $(LDHARD) $(LDFLAGS) $(LIB) $(APRLIBS) $(LIBS)
$(BUILD)/fuzz/%: t/fuzz/%.c t/fuzz/replay_main.c $(LIB) $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(CFLAGS) -c -MF $@.d -MT $@ $< -o $@.o $(filter -D%,$(ORACLE)) \
	  && $(PROGRAM) -o $@ $@.o t/fuzz/replay_main.c $(LIB) $(APRLIBS) $(LIBS) $(filter-out -D%,$(ORACLE))
$(BUILD)/bench/%: t/bench/%.c $(LIB) $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(CFLAGS) -MF $@.d -MT $@ $< -o $@ $(LDHARD) $(LDFLAGS) $(LIB) $(APRLIBS) $(LIBS) $(ORACLE)
$(BUILD)/dudect/%: t/dudect/%.c $(LIB) $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(CFLAGS) -MF $@.d -MT $@ $< -o $@ $(LDHARD) $(LDFLAGS) $(LIB) $(APRLIBS) $(LIBS) -lm
$(BUILD)/libfuzzer/%: t/fuzz/%.c $(LIB) $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(CFLAGS) -MF $@.d -MT $@ $< -o $@ -fsanitize=fuzzer $(LIB) $(APRLIBS) $(LIBS) $(ORACLE)
# Preloaded into programs that know nothing of a sanitizer's runtime, the shell before httpd among them.
$(BUILD)/modules/shim_%.so: SAN :=
$(BUILD)/modules/%.so: t/modules/%.c $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(HTTPINC) $(CFLAGS) -MF $@.d -MT $@ -shared $< -o $@ -ldl
$(BUILD)/modules/%: t/modules/%.c $(NEEDS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(COMPILE) $(CFLAGS) -MF $@.d -MT $@ $< -o $@ -pthread

units: $(UNITS) $(FUZZERS)
modules: $(HELP_SO) $(HELP_EX)
benches: $(patsubst t/bench/%.c,$(BUILD)/bench/%,$(wildcard t/bench/*.c))
libfuzzer: $(patsubst t/fuzz/%.c,$(BUILD)/libfuzzer/%,$(wildcard t/fuzz/fuzz_*.c))
check: all units
	$(Q)build/check.sh $(BUILD)
install: all
	$(Q)build/install.sh

-include $(patsubst %.o,%.d,$(LIB_OBJ) $(MOD_OBJ) $(CTL_OBJ)) $(wildcard $(BUILD)/unit/*.d $(BUILD)/bench/*.d $(BUILD)/fuzz/*.d $(BUILD)/libfuzzer/*.d $(BUILD)/modules/*.d)
endif
endif
