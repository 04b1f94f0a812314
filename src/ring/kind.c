/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "kind.h"

const struct rbx_kind *rbx_kind_of(uint32_t number)
{
    static const struct rbx_kind *const kinds[] = {
        [RBX_SPSC] = &rbx_kind_spsc, [RBX_MPMC] = &rbx_kind_mpmc, [RBX_LOCKED] = &rbx_kind_locked};
    return number < sizeof kinds / sizeof kinds[0] ? kinds[number] : NULL;
}
