/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_statement.c: prepared statements, made once per connection at first use, and the small tables of names and counters. */
#include <apr_strings.h>
#include <stdarg.h>
#include <string.h>

#include "store/sqlite_store.h"

const char *const wh_sq_sql[WH_SQ_STATEMENT_COUNT] = {
#define WH_X(e, sql) [WH_SQ_##e] = sql,
    WH_SQ_STATEMENTS(WH_X)
#undef WH_X
};

int wh_sq_prepared(webhook_store *s, wh_sq_statement which, sqlite3_stmt **out)
{
    if (!s->statement[which]) {
        int rc = sqlite3_prepare_v3(s->db, wh_sq_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &s->statement[which], NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    *out = s->statement[which];
    return SQLITE_OK;
}

/* Values are bound without copies: every statement is stepped to its end or reset before its caller returns. */
static int bind_all(sqlite3_stmt *stmt, const char *format, va_list ap)
{
    int i = 1, rc = SQLITE_OK;
    const char *f;

    for (f = format; *f && rc == SQLITE_OK; f++, i++) {
        switch (*f) {
        case 'i':
            rc = sqlite3_bind_int64(stmt, i, va_arg(ap, sqlite3_int64));
            break;
        case 'o': {
            const sqlite3_int64 *v = va_arg(ap, const sqlite3_int64 *);
            rc = v ? sqlite3_bind_int64(stmt, i, *v) : sqlite3_bind_null(stmt, i);
            break;
        }
        case 't': {
            const char *text = va_arg(ap, const char *);
            rc = text ? sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC) : sqlite3_bind_null(stmt, i);
            break;
        }
        case 'b':
        case 'z': {
            const void *data = va_arg(ap, const void *);
            apr_size_t len = va_arg(ap, apr_size_t);
            if (!data)
                rc = *f == 'z' ? sqlite3_bind_zeroblob(stmt, i, 0) : sqlite3_bind_null(stmt, i);
            else
                rc = sqlite3_bind_blob64(stmt, i, data, len, SQLITE_STATIC);
            break;
        }
        default:
            rc = sqlite3_bind_null(stmt, i);
            break;
        }
    }
    return rc;
}

static int row_va(webhook_store *s, wh_sq_statement which, sqlite3_stmt **out, const char *format, va_list ap)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_prepared(s, which, &stmt);

    if (rc != SQLITE_OK)
        return rc;
    rc = bind_all(stmt, format, ap);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *out = stmt;
        return rc;
    }
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int wh_sq_row(webhook_store *s, wh_sq_statement which, sqlite3_stmt **out, const char *format, ...)
{
    va_list ap;
    int rc;

    va_start(ap, format);
    rc = row_va(s, which, out, format, ap);
    va_end(ap);
    return rc;
}

int wh_sq_next(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return rc;
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void wh_sq_done(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
}

int wh_sq_run(webhook_store *s, wh_sq_statement which, const char *format, ...)
{
    sqlite3_stmt *stmt;
    va_list ap;
    int rc;

    va_start(ap, format);
    rc = row_va(s, which, &stmt, format, ap);
    va_end(ap);
    while (rc == SQLITE_ROW)
        rc = wh_sq_next(stmt);
    return rc;
}

void wh_sq_forget_names(webhook_store *s)
{
    apr_pool_clear(s->names);
    s->name_keys = apr_hash_make(s->names);
    s->name_texts = apr_hash_make(s->names);
}

static void name_keep(webhook_store *s, const char *name, sqlite3_int64 key)
{
    sqlite3_int64 *k = apr_pmemdup(s->names, &key, sizeof key);
    char *text = apr_pstrdup(s->names, name);

    apr_hash_set(s->name_keys, text, APR_HASH_KEY_STRING, k);
    apr_hash_set(s->name_texts, k, sizeof *k, text);
}

int wh_sq_name_key(webhook_store *s, const char *name, int create, sqlite3_int64 *key)
{
    const sqlite3_int64 *known = apr_hash_get(s->name_keys, name, APR_HASH_KEY_STRING);
    sqlite3_stmt *stmt;
    int rc;

    if (known) {
        *key = *known;
        return SQLITE_OK;
    }
    *key = 0;
    rc = wh_sq_row(s, WH_SQ_NAME_BY_TEXT, &stmt, "t", name);
    if (rc == SQLITE_ROW) {
        *key = sqlite3_column_int64(stmt, 0);
        wh_sq_done(stmt);
    } else if (rc != SQLITE_OK || !create) {
        return rc;
    } else {
        rc = wh_sq_run(s, WH_SQ_NAME_ADD, "t", name);
        if (rc != SQLITE_OK)
            return rc;
        *key = sqlite3_last_insert_rowid(s->db);
    }
    name_keep(s, name, *key);
    return SQLITE_OK;
}

int wh_sq_name_text(webhook_store *s, sqlite3_int64 key, const char **name)
{
    sqlite3_stmt *stmt;
    int rc;

    *name = apr_hash_get(s->name_texts, &key, sizeof key);
    if (*name)
        return SQLITE_OK;
    rc = wh_sq_row(s, WH_SQ_NAME_BY_KEY, &stmt, "i", key);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    name_keep(s, (const char *)sqlite3_column_text(stmt, 0), key);
    wh_sq_done(stmt);
    *name = apr_hash_get(s->name_texts, &key, sizeof key);
    return SQLITE_OK;
}

int wh_sq_counter_get(webhook_store *s, wh_sq_counter which, apr_int64_t *value)
{
    sqlite3_stmt *stmt;
    int rc = wh_sq_row(s, WH_SQ_COUNTER_GET, &stmt, "i", (sqlite3_int64)which);

    if (rc != SQLITE_ROW)
        return rc == SQLITE_OK ? SQLITE_CORRUPT : rc;
    *value = sqlite3_column_int64(stmt, 0) + s->delta[which];
    wh_sq_done(stmt);
    return SQLITE_OK;
}

char *wh_sq_text(sqlite3_stmt *stmt, int col, apr_pool_t *p)
{
    const char *text = (const char *)sqlite3_column_text(stmt, col);

    return text ? apr_pstrmemdup(p, text, (apr_size_t)sqlite3_column_bytes(stmt, col)) : NULL;
}

webhook_slice wh_sq_blob(sqlite3_stmt *stmt, int col, apr_pool_t *p)
{
    const void *data = sqlite3_column_blob(stmt, col);
    webhook_slice out = { NULL, 0 };

    if (data) {
        out.len = (apr_size_t)sqlite3_column_bytes(stmt, col);
        out.data = apr_pmemdup(p, data, out.len);
    } else if (sqlite3_column_type(stmt, col) == SQLITE_BLOB) {
        out.data = ""; /* an empty blob has no address, but it is not NULL either */
    }
    return out;
}
