/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a fuzz corpus without a fuzzer: every file named on the command
 * line, and every file directly in a directory named there, goes once through
 * LLVMFuzzerTestOneInput. So a build with any compiler repeats what the fuzzer
 * once found. Input is copied to a block of exactly its size, so that a
 * sanitizer or valgrind sees a read past its end.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int failed, replayed;

static void replay_file(const char *path, size_t size)
{
    uint8_t *data = malloc(size ? size : 1);
    FILE *f = fopen(path, "rb");

    if (!data || !f || fread(data, 1, size, f) != size) {
        perror(path);
        failed = 1;
    }
    else {
        /* names the culprit if the next line does not come back */
        fprintf(stderr, "%s\n", path);
        LLVMFuzzerTestOneInput(data, size);
        replayed++;
    }
    if (f)
        fclose(f);
    free(data);
}

static void replay(const char *path)
{
    struct stat st;
    struct dirent *entry;
    DIR *dir;

    if (stat(path, &st)) {
        perror(path);
        failed = 1;
    }
    else if (S_ISREG(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
    }
    else if ((dir = opendir(path))) {
        while ((entry = readdir(dir))) {
            char sub[PATH_MAX];
            struct stat sst;

            if (snprintf(sub, sizeof(sub), "%s/%s", path, entry->d_name) >= (int)sizeof(sub))
                failed = 1;
            else if (!stat(sub, &sst) && S_ISREG(sst.st_mode))
                replay_file(sub, (size_t)sst.st_size);
        }
        closedir(dir);
    }
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%d inputs\n", replayed);
    return failed || !replayed;
}
