/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <ringbox/version.h>

const char *rbx_version(void)
{
    return RBX_VERSION_STRING;
}
