/* Lets a program use AVX-VNNI on a processor that has AVX2 alone: where the processor stops at one of its
 * instructions, this computes what it would have. For scripts/test-avx-vnni, by LD_PRELOAD.
 *
 * It knows VPDPBUSD and VPDPWSSD of 128 and 256 bits (Intel's manual, volume 2), and ends the program at any other
 * instruction that the processor does not know. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* Where a signal's frame keeps the upper halves of the sixteen registers, and the header that says which state is
 * kept at all: the standard form of XSAVE. */
enum { XSAVE_HEADER = 512, UPPER_HALVES = 576, AVX_STATE = 1 << 2 };

struct machine {
    greg_t *general;
    uint8_t *lower, *upper;
};

static void load(struct machine *m, int number, uint8_t value[32]) {
    memcpy(value, m->lower + 16 * number, 16);
    memcpy(value + 16, m->upper + 16 * number, 16);
}

static greg_t general(struct machine *m, int number) {
    static const int place[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return m->general[place[number]];
}

/* The address that the bytes from ModRM on mean, and at *code the next instruction. */
static const uint8_t *address(struct machine *m, const uint8_t **code, int index_high, int base_high) {
    int mode = **code >> 6, base = **code & 7;
    greg_t sum = 0;
    ++*code;
    if (base == 4) {
        int scale = **code >> 6, index = (**code >> 3 & 7) | index_high << 3;
        base = **code & 7;
        ++*code;
        if (index != 4) sum += general(m, index) << scale;
        if (base == 5 && mode == 0) {
            int32_t far;
            memcpy(&far, *code, 4);
            *code += 4;
            return (const uint8_t *)(sum + far);
        }
    } else if (base == 5 && mode == 0) {
        int32_t far;
        memcpy(&far, *code, 4);
        *code += 4;
        return *code + far;
    }
    sum += general(m, base | base_high << 3);
    if (mode == 1) {
        sum += (int8_t)**code;
        *code += 1;
    } else if (mode == 2) {
        int32_t far;
        memcpy(&far, *code, 4);
        *code += 4;
        sum += far;
    }
    return (const uint8_t *)sum;
}

static int multiply(struct machine *m, const uint8_t *code) {
    /* VEX of three bytes, the map 0F38, the prefix 66, W 0. */
    if (code[0] != 0xC4 || (code[1] & 31) != 2 || (code[2] & 0x83) != 1) return 0;
    int opcode = code[3], wide = code[2] >> 2 & 1;
    if (opcode != 0x50 && opcode != 0x52) return 0;
    int high = !(code[1] & 0x80), index_high = !(code[1] & 0x40), base_high = !(code[1] & 0x20);
    int first = ~code[2] >> 3 & 15, target = (code[4] >> 3 & 7) | high << 3;
    uint8_t a[32], b[32];
    int32_t sums[8];
    load(m, first, a);
    load(m, target, (uint8_t *)sums);
    if (code[4] >> 6 == 3) {
        load(m, (code[4] & 7) | base_high << 3, b);
        code += 5;
    } else {
        code += 4;
        memcpy(b, address(m, &code, index_high, base_high), wide ? 32 : 16);
    }
    for (int lane = 0; lane < (wide ? 8 : 4); ++lane) {
        uint32_t sum = sums[lane];
        if (opcode == 0x50) {
            for (int i = 4 * lane; i < 4 * lane + 4; ++i) sum += a[i] * (int8_t)b[i];
        } else {
            int16_t words[2][2];
            memcpy(words[0], a + 4 * lane, 4);
            memcpy(words[1], b + 4 * lane, 4);
            for (int i = 0; i < 2; ++i) sum += (uint32_t)(words[0][i] * words[1][i]);
        }
        sums[lane] = (int32_t)sum;
    }
    if (!wide) memset(sums + 4, 0, 16);
    memcpy(m->lower + 16 * target, sums, 16);
    memcpy(m->upper + 16 * target, sums + 4, 16);
    m->general[REG_RIP] = (greg_t)code;
    return 1;
}

static void unknown_instruction(int signal_number, siginfo_t *info, void *context) {
    (void)info;
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    uint8_t *state = (uint8_t *)machine->fpregs;
    uint64_t *kept = (uint64_t *)(state + XSAVE_HEADER);
    if (!(*kept & AVX_STATE)) {
        /* Not kept where all are zero. */
        memset(state + UPPER_HALVES, 0, 16 * 16);
        *kept |= AVX_STATE;
    }
    struct machine m = {machine->gregs, (uint8_t *)machine->fpregs->_xmm, state + UPPER_HALVES};
    if (!multiply(&m, (const uint8_t *)machine->gregs[REG_RIP])) signal(signal_number, SIG_DFL);
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {.sa_sigaction = unknown_instruction, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, NULL);
}
