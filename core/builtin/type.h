/* type.h: type descriptors for the rooms from here upwards. They are read by the collector, too, and so are
 * defined below. */
#ifndef CORE_BUILTIN_TYPE_H
#define CORE_BUILTIN_TYPE_H

#include "core/gc/type.h" /* IWYU pragma: export */

extern const size_t rt_pointer_at_0[1], rt_pointer_at_1[1]; /* lists of offsets: word 0, word 1 */

#endif
