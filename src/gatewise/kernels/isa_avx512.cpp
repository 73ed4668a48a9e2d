#define GW_ISA gw_avx512
#include "isa.h"
