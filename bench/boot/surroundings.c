/* SPDX-License-Identifier: Apache-2.0 */
/* What `./atoll bench` boots as /init of its Linux guest to say under what it is measured. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities"

/* A line of the console: the first line of a file; nothing if it is not there. */
static void tell(const char *name, const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return;
    }
    if (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        printf("guest %s: %s\n", name, line);
    }
    fclose(file);
}

int main(void)
{
    struct utsname system;
    mkdir("/sys", 0755);
    if (mount("sysfs", "/sys", "sysfs", 0, NULL) != 0 || uname(&system) != 0) {
        perror("surroundings");
        return 1;
    }
    printf("guest kernel: %s %s\n", system.release, system.version);
    tell("clock source", "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    tell("huge pages", "/sys/kernel/mm/transparent_hugepage/enabled");
    DIR *folder = opendir(VULNERABILITIES);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[sizeof(VULNERABILITIES) + sizeof(entry->d_name) + 1];
        snprintf(path, sizeof(path), VULNERABILITIES "/%s", entry->d_name);
        if (entry->d_name[0] != '.') {
            tell(entry->d_name, path);
        }
    }
    return 0;
}
