#ifndef LM_VERSION_H
#define LM_VERSION_H
#include "config.h"
#define LM_VERSION PACKAGE_VERSION
#endif
