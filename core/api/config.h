/* config.h: what runtime.c asks of config.c. */
#ifndef CORE_API_CONFIG_H
#define CORE_API_CONFIG_H

#include "core/include/gort.h"

/* 0; GORT_EINVAL: out of range or unknown; GORT_ENOTSUP: not in this build. */
int rt_config_check(const gort_config *cfg);

#endif
