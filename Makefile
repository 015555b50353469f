# The library for C programs. The Python package does not need this: see docs/how_to/c.md.
#
#     make                                    build/c/libplainnet.a and build/c/libplainnet.so
#     make install PREFIX=/usr/local          these, plainnet.h, and plainnet.pc for pkg-config
#     make clean
#
# -j compiles in parallel. CC, CFLAGS, LDFLAGS, PREFIX, LIBDIR, INCLUDEDIR, DESTDIR and BUILD may be set as usual.

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# Before 1.0, a minor version may change the interface.
ABI := $(basename $(VERSION))

CFLAGS ?= -O3
PREFIX ?= /usr/local
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
BUILD ?= build/c
INSTALL ?= install

ifeq ($(shell uname -s),Darwin)
soname := libplainnet.$(ABI).dylib
linkname := libplainnet.dylib
shared := -dynamiclib -Wl,-install_name,@rpath/$(soname)
else
soname := libplainnet.so.$(ABI)
linkname := libplainnet.so
shared := -shared -Wl,-soname,$(soname)
endif

sources := $(filter-out %.inc.c,$(wildcard csrc/*.c))
objects := $(sources:csrc/%.c=$(BUILD)/%.o)
# Only what plainnet.h declares is visible outside the library.
flags := -std=c11 -fPIC -fno-math-errno -fno-trapping-math -fvisibility=hidden -DPN_EXPORT -Icsrc

.PHONY: all install clean always
all: $(BUILD)/libplainnet.a $(BUILD)/$(linkname)

$(BUILD)/%.o: csrc/%.c $(wildcard csrc/*.h csrc/*.inc.c csrc/*/*.h csrc/*/*.inc.c) Makefile $(BUILD)/commands
	$(CC) $(CPPFLAGS) $(CFLAGS) $(flags) -c $< -o $@

$(BUILD)/libplainnet.a: $(objects)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/$(soname): $(objects)
	$(CC) $(CFLAGS) $(LDFLAGS) $(shared) $^ -lm -lpthread -o $@

$(BUILD)/$(linkname): $(BUILD)/$(soname)
	ln -sf $(soname) $@

# What compiles and links; written when that has changed, and then everything is made again.
commands = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(BUILD)/commands: always
	@mkdir -p $(BUILD)
	@echo '$(commands)' | cmp -s - $@ || echo '$(commands)' >$@

install: all
	$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig'
	$(INSTALL) -m 644 csrc/plainnet.h '$(DESTDIR)$(INCLUDEDIR)'
	$(INSTALL) -m 644 $(BUILD)/libplainnet.a '$(DESTDIR)$(LIBDIR)'
	$(INSTALL) -m 755 $(BUILD)/$(soname) '$(DESTDIR)$(LIBDIR)'
	ln -sf $(soname) '$(DESTDIR)$(LIBDIR)/$(linkname)'
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$(INCLUDEDIR)' 'libdir=$(LIBDIR)' '' \
	    'Name: plainnet' 'Description: Small dense neural networks, trained and run on a CPU' \
	    'Version: $(VERSION)' 'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lplainnet' \
	    'Libs.private: -lm -lpthread' >'$(DESTDIR)$(LIBDIR)/pkgconfig/plainnet.pc'

clean:
	rm -rf $(BUILD)
