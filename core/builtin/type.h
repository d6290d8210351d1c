/* type.h: type descriptors for the rooms from here upwards. They are read by the collector, too, and so are
 * defined below. */
#ifndef CORE_BUILTIN_TYPE_H
#define CORE_BUILTIN_TYPE_H

#include "core/gc/type.h" /* IWYU pragma: export */

#endif
