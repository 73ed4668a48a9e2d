#define GW_ISA gw_avx2
#include "isa.h"
