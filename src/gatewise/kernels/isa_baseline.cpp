#define GW_ISA gw_baseline
#include "isa.h"
