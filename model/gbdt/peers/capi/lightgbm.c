/* LightGBM's C API behind the requests that ../score.go explains, so that no
 * Python is in the way.
 *
 *     lightgbm MODEL.txt ROWS.f32 FEATURES
 *
 * margin and reasons are answered by LGBM_BoosterPredictForMatSingleRowFast,
 * one row a call, on one thread. Allocations are not counted.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of LightGBM's c_api.h, which its Python package does not bring along. */
typedef void *BoosterHandle;
typedef void *FastConfigHandle;
enum { C_API_DTYPE_FLOAT32 = 0 };
enum { C_API_PREDICT_RAW_SCORE = 1, C_API_PREDICT_CONTRIB = 3 };
const char *LGBM_GetLastError(void);
int LGBM_BoosterCreateFromModelfile(const char *file, int *iterations, BoosterHandle *out);
int LGBM_BoosterGetNumFeature(BoosterHandle, int *out);
int LGBM_BoosterPredictForMatSingleRowFastInit(BoosterHandle, int what, int first, int iterations, int type,
                                               int32_t columns, const char *parameters, FastConfigHandle *out);
int LGBM_FastConfigFree(FastConfigHandle);
int LGBM_BoosterPredictForMatSingleRowFast(FastConfigHandle, const void *row, int64_t *length, double *out);

static void fail(const char *what, const char *why) {
    fprintf(stderr, "lightgbm: %s: %s\n", what, why);
    exit(1);
}

static void check(int status, const char *what) {
    if (status != 0)
        fail(what, LGBM_GetLastError());
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *read_rows(const char *name, int64_t *count) {
    FILE *f = fopen(name, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        fail(name, "cannot be read");
    long bytes = ftell(f);
    rewind(f);
    float *x = malloc((size_t)bytes);
    if (x == NULL || fread(x, 1, (size_t)bytes, f) != (size_t)bytes)
        fail(name, "cannot be read");
    fclose(f);
    *count = bytes / 4;
    return x;
}

static void write_floats(const char *name, const double *x, size_t count) {
    FILE *f = fopen(name, "wb");
    if (f == NULL || fwrite(x, 8, count, f) != count || fclose(f) != 0)
        fail(name, "cannot be written");
}

int main(int argc, char **argv) {
    if (argc != 4)
        fail("arguments", "want a model, a file of rows and the number of features");
    BoosterHandle booster;
    int iterations, has;
    check(LGBM_BoosterCreateFromModelfile(argv[1], &iterations, &booster), argv[1]);
    check(LGBM_BoosterGetNumFeature(booster, &has), argv[1]);
    int features = atoi(argv[3]);
    if (features != has)
        fail(argv[1], "has another number of features");
    int64_t values;
    float *x = read_rows(argv[2], &values);

    double *out = NULL;
    size_t room = 0;
    char line[4096], what[16], file[4000];
    while (fgets(line, sizeof line, stdin) != NULL) {
        int64_t first, rows;
        int fields = sscanf(line, "%15s %" SCNd64 " %" SCNd64 " %3999s", what, &first, &rows, file);
        int reasons = strcmp(what, "reasons") == 0;
        if (fields < 3 || (!reasons && strcmp(what, "margin") != 0))
            fail("unknown request", line);
        if (first < 0 || rows < 1 || first + rows > values / features)
            fail("no such rows", line);
        size_t width = reasons ? (size_t)features + 1 : 1;
        if (room < (size_t)rows * width) {
            room = (size_t)rows * width;
            free(out);
            out = malloc(room * sizeof *out);
            if (out == NULL)
                fail(line, "not enough memory");
        }
        memset(out, 0, (size_t)rows * width * sizeof *out); /* the clock is not to meet fresh pages */
        FastConfigHandle fast;
        check(LGBM_BoosterPredictForMatSingleRowFastInit(
                  booster, reasons ? C_API_PREDICT_CONTRIB : C_API_PREDICT_RAW_SCORE, 0, -1, C_API_DTYPE_FLOAT32,
                  features, "num_threads=1", &fast), "FastInit");

        double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
        for (int64_t i = 0; i < rows; i++) {
            int64_t length;
            check(LGBM_BoosterPredictForMatSingleRowFast(fast, x + (first + i) * features, &length,
                                                         out + (size_t)i * width), "SingleRowFast");
        }
        cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        wall = seconds(CLOCK_MONOTONIC) - wall;

        check(LGBM_FastConfigFree(fast), "FastConfigFree");
        if (fields == 4)
            write_floats(file, out, (size_t)rows * width);
        printf("{\"cpu\": %.9f, \"wall\": %.9f}\n", cpu, wall);
        fflush(stdout);
    }
    return 0;
}
