// SPDX-License-Identifier: Apache-2.0
// Registers of the STM32F405 (ST RM0090; its sections are named below) behind named functions. `base` is a device's address.
#ifndef STM32F4_H
#define STM32F4_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"

static inline void register_set(uint32_t address, uint32_t bits) { register_write(address, register_read(address) | bits); }
static inline void register_clear(uint32_t address, uint32_t bits) { register_write(address, register_read(address) & ~bits); }

// ---- reset and clock control, section 7.3 ----

#define RCC_CR 0x40023800u
#define RCC_PLLCFGR 0x40023804u
#define RCC_CFGR 0x40023808u
#define RCC_APB1RSTR 0x40023820u
#define RCC_APB2RSTR 0x40023824u
#define RCC_AHB1ENR 0x40023830u
#define RCC_AHB2ENR 0x40023834u
#define RCC_APB1ENR 0x40023840u
#define RCC_APB2ENR 0x40023844u
#define RCC_CSR 0x40023874u

#define RCC_CR_HSE_ON (1u << 16)
#define RCC_CR_HSE_READY (1u << 17)
#define RCC_CR_PLL_ON (1u << 24)
#define RCC_CR_PLL_READY (1u << 25)
#define RCC_CFGR_SWITCH 3u
#define RCC_CFGR_SWITCHED (3u << 2)
#define RCC_CFGR_PLL 2u
#define RCC_CFGR_BUSES (5u << 10 | 4u << 13) // APB1 = clock / 4, APB2 = clock / 2

static inline void oscillator_start(void) {
    register_set(RCC_CR, RCC_CR_HSE_ON);
    while ((register_read(RCC_CR) & RCC_CR_HSE_READY) == 0u) {
    }
}
// f = crystal / m * n / p; 48 MHz for the random number generator by / q.
static inline void pll_start(uint32_t m, uint32_t n, uint32_t p, uint32_t q) {
    register_write(RCC_PLLCFGR, m | n << 6 | (p / 2u - 1u) << 16 | 1u << 22 | q << 24); // bit 22: from the crystal
    register_set(RCC_CR, RCC_CR_PLL_ON);
    while ((register_read(RCC_CR) & RCC_CR_PLL_READY) == 0u) {
    }
}
static inline bool clock_is_pll(void) { return (register_read(RCC_CFGR) & RCC_CFGR_SWITCHED) == RCC_CFGR_PLL << 2; }
static inline void clock_use_pll(void) {
    register_write(RCC_CFGR, RCC_CFGR_BUSES | RCC_CFGR_PLL);
    while (!clock_is_pll()) {
    }
}

#define RCC_CSR_FORGET (1u << 24)
#define RCC_CSR_POWER_ON (1u << 27)
#define RCC_CSR_SOFTWARE (1u << 28)
#define RCC_CSR_WATCHDOG (1u << 29)

// ---- flash interface, section 3.9 ----

#define FLASH_ACR 0x40023C00u
#define FLASH_KEYR 0x40023C04u
#define FLASH_OPTKEYR 0x40023C08u
#define FLASH_SR 0x40023C0Cu
#define FLASH_CR 0x40023C10u
#define FLASH_OPTCR 0x40023C14u

#define FLASH_ACR_CACHES (1u << 9 | 1u << 10) // instructions, data
#define FLASH_ACR_FORGET (1u << 11 | 1u << 12)
#define FLASH_SR_ERRORS 0xF2u   // operation, protection, alignment, parallelism, sequence; write one to clear
#define FLASH_SR_BUSY (1u << 16)
#define FLASH_CR_PROGRAM 1u
#define FLASH_CR_ERASE_SECTOR 2u
#define FLASH_CR_WORDS (2u << 8) // 32 bits at once: 2.7 to 3.6 V (section 3.6.2)
#define FLASH_CR_START (1u << 16)
#define FLASH_CR_LOCK (1u << 31)
#define FLASH_OPTCR_LOCK 1u
#define FLASH_OPTCR_START (1u << 1)
#define FLASH_OPTCR_LEVELS (0xFFu << 8)
#define FLASH_OPTCR_LEVEL_0 (0xAAu << 8)
#define FLASH_OPTCR_LEVEL_1 (0x55u << 8)

// `wait_states` by table 10: five for 150 to 168 MHz at 2.7 to 3.6 V.
static inline void flash_interface_start(uint32_t wait_states) {
    register_write(FLASH_ACR, wait_states | FLASH_ACR_CACHES);
    while ((register_read(FLASH_ACR) & 7u) != wait_states) {
    }
}
// What the caches hold of an erased sector is old (section 3.6.3). They are emptied only while they are off.
static inline void flash_forget_caches(void) {
    uint32_t acr = register_read(FLASH_ACR);
    register_write(FLASH_ACR, acr & ~FLASH_ACR_CACHES);
    register_write(FLASH_ACR, (acr & ~FLASH_ACR_CACHES) | FLASH_ACR_FORGET);
    register_write(FLASH_ACR, acr);
}
// Section 3.6.1. A wrong key closes the interface until the next reset.
static inline void flash_unlock(void) {
    if ((register_read(FLASH_CR) & FLASH_CR_LOCK) != 0u) {
        register_write(FLASH_KEYR, 0x45670123u);
        register_write(FLASH_KEYR, 0xCDEF89ABu);
    }
}
static inline void flash_lock(void) { register_write(FLASH_CR, FLASH_CR_LOCK); }

// ---- pins, section 8.4: MODER 0x00, OTYPER 0x04, PUPDR 0x0C, IDR 0x10, ODR 0x14, BSRR 0x18, AFRL 0x20, AFRH 0x24 ----

#define GPIOA 0x40020000u
#define GPIOB 0x40020400u
#define GPIO_STEP 0x400u // from one port to the next

enum gpio_mode { GPIO_INPUT, GPIO_OUTPUT, GPIO_ALTERNATE, GPIO_ANALOG };
enum gpio_pull { GPIO_NO_PULL, GPIO_PULL_UP, GPIO_PULL_DOWN };

static inline void gpio_field(uint32_t address, uint32_t pin, uint32_t value) { // two bits a pin
    register_write(address, (register_read(address) & ~(3u << 2u * pin)) | value << 2u * pin);
}
static inline uint32_t gpio_field_of(uint32_t address, uint32_t pin) { return register_read(address) >> 2u * pin & 3u; }

static inline void pin_mode(uint32_t port, uint32_t pin, enum gpio_mode mode) { gpio_field(port, pin, mode); }
static inline enum gpio_mode pin_mode_of(uint32_t port, uint32_t pin) { return (enum gpio_mode)gpio_field_of(port, pin); }
static inline void pin_pull(uint32_t port, uint32_t pin, enum gpio_pull pull) { gpio_field(port + 0x0Cu, pin, pull); }
static inline void pin_open_drain(uint32_t port, uint32_t pin, bool open) {
    register_clear(port + 0x04u, 1u << pin);
    register_set(port + 0x04u, (uint32_t)open << pin);
}
static inline bool pin_read(uint32_t port, uint32_t pin) { return (register_read(port + 0x10u) >> pin & 1u) != 0u; }
static inline bool pin_output(uint32_t port, uint32_t pin) { return (register_read(port + 0x14u) >> pin & 1u) != 0u; }
static inline void pin_write(uint32_t port, uint32_t pin, bool high) {
    register_write(port + 0x18u, 1u << (high ? pin : pin + 16u));
}
static inline void pin_alternate(uint32_t port, uint32_t pin, uint32_t function) {
    uint32_t afr = port + (pin < 8u ? 0x20u : 0x24u), shift = 4u * (pin & 7u);
    register_write(afr, (register_read(afr) & ~(0xFu << shift)) | function << shift);
    pin_mode(port, pin, GPIO_ALTERNATE);
}

// ---- lines of external interrupts, section 12.3: IMR 0x00, RTSR 0x08, FTSR 0x0C, PR 0x14; their ports, section 9.2.3 ----

#define EXTI 0x40013C00u
#define SYSCFG_EXTICR1 0x40013808u

static inline void line_of_port(uint32_t line, uint32_t port) { // port 0 is A
    uint32_t address = SYSCFG_EXTICR1 + (line & ~3u), shift = 4u * (line & 3u);
    register_write(address, (register_read(address) & ~(0xFu << shift)) | port << shift);
}
static inline void line_off(uint32_t line) { register_clear(EXTI, 1u << line); }
static inline void line_on(uint32_t line, bool rising, bool falling) {
    register_clear(EXTI + 0x08u, 1u << line);
    register_clear(EXTI + 0x0Cu, 1u << line);
    register_set(EXTI + 0x08u, (uint32_t)rising << line);
    register_set(EXTI + 0x0Cu, (uint32_t)falling << line);
    register_write(EXTI + 0x14u, 1u << line); // what came before counts no more
    register_set(EXTI, 1u << line);
}
static inline bool line_raised(uint32_t line) { return (register_read(EXTI) & register_read(EXTI + 0x14u) & 1u << line) != 0u; }
static inline void line_clear(uint32_t line) { register_write(EXTI + 0x14u, 1u << line); }

// USART1 and 6 and SPI1 are on the faster of the two buses (section 2.3, memory map).
static inline uint32_t bus_hz(uint32_t base, uint32_t clock_hz) { return clock_hz / (base >= 0x40010000u ? 2u : 4u); }

// ---- USART, section 30.6: SR 0x00, DR 0x04, BRR 0x08, CR1 0x0C ----

#define USART_RECEIVED (1u << 5)
#define USART_SENT_ALL (1u << 6)
#define USART_TRANSMIT_EMPTY (1u << 7)
#define USART_CR1_RUN (1u << 13 | 1u << 3 | 1u << 2) // enable, transmitter, receiver; 8N1, 16 samples a bit
#define USART_CR1_RECEIVE_INTERRUPT (1u << 5)
#define USART_CR1_TRANSMIT_INTERRUPT (1u << 7)

static inline bool usart_received(uint32_t base) { return (register_read(base) & USART_RECEIVED) != 0u; }
static inline bool usart_can_send(uint32_t base) { return (register_read(base) & USART_TRANSMIT_EMPTY) != 0u; }
static inline bool usart_sent_all(uint32_t base) { return (register_read(base) & USART_SENT_ALL) != 0u; }
static inline uint8_t usart_get(uint32_t base) { return (uint8_t)register_read(base + 0x04u); }
static inline void usart_put(uint32_t base, uint8_t byte) { register_write(base + 0x04u, byte); }
static inline void usart_interrupts(uint32_t base, uint32_t which) {
    register_write(base + 0x0Cu, USART_CR1_RUN | which);
}
static inline void usart_start(uint32_t base, uint32_t clock_hz, uint32_t baud) {
    register_write(base + 0x08u, (bus_hz(base, clock_hz) + baud / 2u) / baud);
    usart_interrupts(base, 0u);
}

// ---- what all ADCs share, section 13.13.16 ----

#define ADC_COMMON_CONTROL 0x40012304u
#define ADC_CLOCK_QUARTER (1u << 16) // of the bus's 84 MHz: 36 are the most (DS8626, table 67)
#define ADC_TEMPERATURE_ON (1u << 23)

// ---- SPI, section 28.5: CR1 0x00, SR 0x08, DR 0x0C ----

#define SPI_RUN (1u << 9 | 1u << 8 | 1u << 6 | 1u << 2) // chip select by software, high; enable; controller
#define SPI_RECEIVED 1u
#define SPI_TRANSMIT_EMPTY 2u

// The bus divided by 2 << `halvings`; bits of eight, MSB first.
static inline void spi_start(uint32_t base, uint32_t halvings, bool polarity, bool phase) {
    register_write(base, 0u);
    register_write(base, SPI_RUN | halvings << 3 | (uint32_t)polarity << 1 | (uint32_t)phase);
}
static inline void spi_stop(uint32_t base) { register_write(base, 0u); }
static inline uint8_t spi_exchange(uint32_t base, uint8_t byte) {
    while ((register_read(base + 0x08u) & SPI_TRANSMIT_EMPTY) == 0u) {
    }
    register_write(base + 0x0Cu, byte);
    while ((register_read(base + 0x08u) & SPI_RECEIVED) == 0u) {
    }
    return (uint8_t)register_read(base + 0x0Cu);
}

// ---- timers 2 and 5, section 18.4: CR1 0x00, DIER 0x0C, SR 0x10, EGR 0x14, CNT 0x24, PSC 0x28, ARR 0x2C. 32 bits, count up ----

// Counts microseconds from 0 to `last`, again and again.
static inline void timer_run(uint32_t base, uint32_t clock_hz, uint32_t last) {
    register_write(base, 1u << 2);                               // what is forced below is no event (URS)
    register_write(base + 0x28u, clock_hz / 2u / 1000000u - 1u); // its clock is twice its bus's (section 7.2)
    register_write(base + 0x2Cu, last);
    register_write(base + 0x14u, 1u); // take the prescaler over, begin at 0
    register_write(base, 1u << 2 | 1u);
}
static inline void timer_run_freely(uint32_t base, uint32_t clock_hz) { timer_run(base, clock_hz, 0xFFFFFFFFu); }
static inline void timer_stop(uint32_t base) {
    register_write(base, 0u);
    register_write(base + 0x0Cu, 0u);
}
static inline void timer_interrupt(uint32_t base) { register_write(base + 0x0Cu, 1u); }
static inline bool timer_interrupt_raised(uint32_t base) { return (register_read(base + 0x10u) & 1u) != 0u; }
static inline void timer_clear_interrupt(uint32_t base) { register_write(base + 0x10u, ~1u); } // writing 0 clears
static inline uint32_t timer_microseconds(uint32_t base) { return register_read(base + 0x24u); }

// ---- independent watchdog, section 21.4: KR 0x00, PR 0x04, RLR 0x08, SR 0x0C ----

#define WATCHDOG_LOAD_MAX 0xFFFu
static inline void watchdog_start(uint32_t base, uint32_t load) {
    register_write(base, 0xCCCCu); // runs, from the low-speed oscillator
    register_write(base, 0x5555u);
    register_write(base + 0x04u, 6u); // one tick is 256 of its clocks
    register_write(base + 0x08u, load);
    register_write(base, 0xAAAAu);
}
static inline void watchdog_feed(uint32_t base) { register_write(base, 0xAAAAu); }

// ---- random numbers, section 24.4 ----

#define RNG_CR 0x50060800u
#define RNG_SR 0x50060804u
#define RNG_DR 0x50060808u
#define RNG_READY 1u
#define RNG_ERRORS 0x66u // clock or seed, now or since it was last asked

#endif
