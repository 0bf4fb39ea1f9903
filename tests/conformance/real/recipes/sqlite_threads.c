/* SPDX-License-Identifier: Apache-2.0 */
/* Four threads, each with a connection of its own, move money between the accounts of one SQLite
 * database and read it meanwhile; the sum never changes. argv: the database file, the journal mode.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define ACCOUNTS 50
#define START 1000
#define TRANSFERS 60
#define BUSY_MS 60000

static const char *path;
static int sums_that_held[THREADS];

static void fail(sqlite3 *database, const char *what)
{
    fprintf(stderr, "FAIL %s: %s\n", what, sqlite3_errmsg(database));
    exit(1);
}

static sqlite3 *open_database(void)
{
    sqlite3 *database;
    if (sqlite3_open(path, &database) != SQLITE_OK || sqlite3_busy_timeout(database, BUSY_MS)) {
        fail(database, "open");
    }
    return database;
}

static void run(sqlite3 *database, const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail(database, sql);
    }
}

/* The first column of the first row, as text in `value`. */
static void ask(sqlite3 *database, const char *sql, char *value, size_t bytes)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        fail(database, sql);
    }
    snprintf(value, bytes, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

static void transfer(sqlite3 *database, int from, int to, int amount)
{
    char sql[128];
    run(database, "BEGIN IMMEDIATE");
    snprintf(sql, sizeof sql, "UPDATE account SET money = money - %d WHERE id = %d", amount, from);
    run(database, sql);
    snprintf(sql, sizeof sql, "UPDATE account SET money = money + %d WHERE id = %d", amount, to);
    run(database, sql);
    snprintf(sql, sizeof sql, "INSERT INTO log VALUES(%d, %d, %d)", from, to, amount);
    run(database, sql);
    run(database, amount % 7 == 0 ? "ROLLBACK" : "COMMIT");
}

static void *work(void *argument)
{
    int self = (int)(long)argument;
    sqlite3 *database = open_database();
    char sum[32];
    for (int i = 0; i < TRANSFERS; i++) {
        transfer(database, (self * 7 + i) % ACCOUNTS, (self + i * 3 + 1) % ACCOUNTS, i + 1);
        if (i % 5 == 0) {
            ask(database, "SELECT sum(money) FROM account", sum, sizeof sum);
            sums_that_held[self] += atoi(sum) == ACCOUNTS * START;
        }
    }
    sqlite3_close(database);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    char text[128], sql[64];
    path = argv[1];
    sqlite3 *database = open_database();
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", argc > 2 ? argv[2] : "delete");
    ask(database, sql, text, sizeof text);
    printf("journal %s\n", text);
    run(database, "CREATE TABLE account(id INTEGER PRIMARY KEY, money INTEGER);"
                  "CREATE TABLE log(source, target, amount); CREATE INDEX amounts ON log(amount)");
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO account VALUES(%d, %d)", i, START);
        run(database, sql);
    }
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        printf("thread %d: %d sums held\n", i, sums_that_held[i]);
    }
    static const char *const questions[] = {
        "SELECT count(*) || ' transfers of ' || sum(amount) FROM log",
        "SELECT group_concat(money) FROM (SELECT money FROM account ORDER BY id)",
        "PRAGMA integrity_check",
    };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        char answer[1024];
        ask(database, questions[i], answer, sizeof answer);
        printf("%s\n", answer);
    }
    sqlite3_close(database);
    return 0;
}
