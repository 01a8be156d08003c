# dev: the scripts for people who build, try and measure.
EXTRA_DIST += dev/setup dev/build dev/test dev/instance dev/analyse dev/quickstart dev/bench .ci/run .clang-format .clang-tidy .cppcheck
