/* SPDX-License-Identifier: Apache-2.0 */
/* The "linux" object of config.json and the tables of names in it; used by config.c alone. */
#ifndef RUNSC_CONFIG_LINUX_H
#define RUNSC_CONFIG_LINUX_H

#include "runsc/config.h"
#include "runsc/json.h"

void config_parse_linux(const struct node *linux_node, struct oci_spec *spec);
void config_parse_capabilities(const struct node *process, struct oci_capabilities *caps);
void config_parse_rlimits(const struct node *process, struct oci_process *p);
/* An object of strings as a list. */
size_t config_parse_map(const struct node *object, struct oci_sysctl **ret_items);
void config_free_linux(struct oci_spec *spec);
void config_free_map(struct oci_sysctl *items, size_t count);

#endif
