// An ATmega in simavr: its UART is this program's input and output, its EEPROM a file, its time ours.
// Usage: runner MCU PROGRAM.elf EEPROM-FILE. Killing it is a power cut, with what was written until then.

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <simavr/avr_eeprom.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

static int may_send = 1;

static void on_output(struct avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)param;
    const char byte = (char)value;
    if (write(STDOUT_FILENO, &byte, 1) != 1) exit(0);
}

static void on_xon(struct avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    may_send = 1;
}

static void on_xoff(struct avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    may_send = 0;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    elf_firmware_t firmware = {0};
    if (count != 4 || elf_read_firmware(arguments[2], &firmware) != 0) return 2;
    avr_t *avr = avr_make_mcu_by_name(arguments[1]);
    if (avr == NULL) return 3;
    firmware.frequency = 16000000;
    avr_init(avr);
    avr_load_firmware(avr, &firmware);

    avr_eeprom_desc_t eeprom = {.ee = NULL, .offset = 0, .size = avr->e2end + 1u};
    const int file = open(arguments[3], O_RDWR | O_CREAT, 0600);
    uint8_t *saved = calloc(1, eeprom.size);
    avr_ioctl(avr, AVR_IOCTL_EEPROM_GET, &eeprom);  // its result is -1, done or not
    if (file < 0 || saved == NULL || eeprom.ee == NULL) return 4;
    memset(eeprom.ee, 0xFF, eeprom.size);
    if (pread(file, saved, eeprom.size, 0) == (ssize_t)eeprom.size)
        memcpy(eeprom.ee, saved, eeprom.size);

    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *uart = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), 0);
    avr_irq_register_notify(uart + UART_IRQ_OUTPUT, on_output, NULL);
    avr_irq_register_notify(uart + UART_IRQ_OUT_XON, on_xon, NULL);
    avr_irq_register_notify(uart + UART_IRQ_OUT_XOFF, on_xoff, NULL);

    const double start = now();
    // One character at 38400 baud takes 4167 cycles: input comes no faster than on a real line.
    const avr_cycle_count_t character = 4167;
    for (avr_cycle_count_t next = 0;;) {
        const int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) return 5;
        if (avr->cycle < next) continue;
        next = avr->cycle + character;
        // At most one byte of EEPROM is written in this time (3.4 ms).
        if (memcmp(saved, eeprom.ee, eeprom.size) != 0) {
            memcpy(saved, eeprom.ee, eeprom.size);
            if (pwrite(file, saved, eeprom.size, 0) != (ssize_t)eeprom.size) return 6;
        }
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        unsigned char byte;
        if (may_send && poll(&input, 1, 0) == 1) {
            if (read(STDIN_FILENO, &byte, 1) != 1) return 0;
            avr_raise_irq(uart + UART_IRQ_INPUT, byte);
        }
        const double ahead = (double)avr->cycle / 16e6 - (now() - start);
        if (ahead > 0.002) usleep((useconds_t)(ahead * 1e6));
    }
}
