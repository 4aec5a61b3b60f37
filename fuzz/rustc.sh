#!/bin/sh
# Cargo calls this in place of rustc, whose path comes first: Sortie and its targets alone are built to tell libFuzzer where
# they go, so that what they depend on is taken as it was built for the tests. All these flags are stable.
rustc=$1
shift
case " $* " in
*" --crate-name sortie "* | *" --crate-name sortie_fuzz "*)
    exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
    ;;
*) exec "$rustc" "$@" ;;
esac
