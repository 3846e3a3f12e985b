/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.c: values of a delivery in what a handler sends. A handler's configuration says which slots its texts have (core/shape.h); here
 * each becomes an expression at configuration and a value at acceptance, with the real request, and never later.
 *
 * What a value must have passed depends on where it goes:
 *
 *   URL, form    webhook_urlenc                    JSON body       webhook_jsonenc or webhook_jsonraw
 *   file name    webhook_nameenc                   header, text, argument of a program    nothing: the whole is looked at when it is filled
 *
 * A slot without its encoder is a mistake of the configuration, unless it is one of the few variables no sender can choose. Nothing else is
 * taken for safe: also what the payload does not hold may come from the request.
 *
 * The encoders are functions of the server's expressions and can be used wherever those can.
 */
#include "httpd/request.h"

#include "http_core.h"
#include "http_log.h"
#include "http_request.h"
#include "ap_expr.h"
#include "apr_strings.h"

#include "core/encode_for.h"
#include "core/shape.h"

APLOG_USE_MODULE(webhook);

typedef struct template_slot {
    const char *text;
    ap_expr_info_t *expr;
} template_slot;

struct wh_templates {
    int count;
    template_slot slots[1]; /* count */
};

/* ---- at configuration ---- */

/* Digits, dashes and letters, made by this server. */
static const char *const harmless[] = {
    "WEBHOOK_ID", "WEBHOOK_DELIVERY_ID", "WEBHOOK_VERIFIED", "TIME", "TIME_YEAR", "TIME_MON", "TIME_DAY", "TIME_HOUR", "TIME_MIN", "TIME_SEC",
    "TIME_WDAY", NULL,
};

/* What must not be kept in a queue: the process's own environment and files are where secrets are. */
static const char *const private_functions[] = {"osenv", "file", "filesize", "filemod", NULL};

static const struct {
    webhook_place place;
    const char *encoders[3];
} demands[] = {
    {WEBHOOK_PLACE_URL, {"webhook_urlenc", NULL, NULL}},
    {WEBHOOK_PLACE_FORM, {"webhook_urlenc", NULL, NULL}},
    {WEBHOOK_PLACE_JSON, {"webhook_jsonenc", "webhook_jsonraw", NULL}},
    {WEBHOOK_PLACE_NAME, {"webhook_nameenc", NULL, NULL}},
};

static int is_one_of(const char *const *names, const char *name, apr_size_t len)
{
    for (; *names; names++) {
        if (strlen(*names) == len && !ap_cstr_casecmpn(*names, name, len)) {
            return 1;
        }
    }
    return 0;
}

/* @return NULL or an error text */
static const char *check_encoder(const webhook_slot *slot, apr_pool_t *p)
{
    webhook_slice name, argument;
    apr_size_t i;

    if (!wh_slot_split(slot->text, strlen(slot->text), &name, &argument)) {
        return apr_psprintf(p, "%s is no value", slot->text);
    }
    for (i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
        const char *const *encoders = demands[i].encoders;

        if (demands[i].place != slot->place) {
            continue;
        }
        if (argument.data ? is_one_of(encoders, name.data, name.len)
                          : slot->place != WEBHOOK_PLACE_JSON && is_one_of(harmless, name.data, name.len)) {
            return NULL;
        }
        return apr_psprintf(p, "%s stands %s without the encoder for that place: what the sender puts there could change its meaning "
                            "(write %%{%s:%s}%s%s)", slot->text, wh_place_name(slot->place), encoders[0], slot->text,
                            encoders[1] ? " or, for a whole value as received, " : "", encoders[1] ? "%{webhook_jsonraw:/pointer}" : "");
    }
    return NULL;
}

static int template_lookup(ap_expr_lookup_parms *parms)
{
    if (is_one_of(private_functions, parms->name, strlen(parms->name))) {
        *parms->err = apr_psprintf(parms->ptemp, "%s is not for templates, whose values are kept in the queue", parms->name);
        return !OK;
    }
    return ap_expr_lookup_default(parms);
}

static const char *compile(template_slot *out, const webhook_slot *slot, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const char *err = check_encoder(slot, pconf);

    if (err) {
        return err;
    }
    out->text = apr_pstrdup(pconf, slot->text);
    out->expr = apr_pcalloc(pconf, sizeof(*out->expr));
    out->expr->filename = "template";
    out->expr->flags = AP_EXPR_FLAG_STRING_RESULT | AP_EXPR_FLAG_DONT_VARY | AP_EXPR_FLAG_RESTRICTED;
    out->expr->module_index = APLOG_MODULE_INDEX;
    err = ap_expr_parse(pconf, ptemp, out->expr, out->text, template_lookup);
    return err ? apr_psprintf(pconf, "cannot parse %s: %s", out->text, err) : NULL;
}

const char *wh_templates_compile(wh_handler_def *def, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const apr_array_header_t *slots = def->provider->slots ? def->provider->slots(def->conf) : NULL;
    struct wh_templates *t;
    const char *err;
    int i, k;

    if (!slots || !slots->nelts) {
        return NULL;
    }
    t = apr_pcalloc(pconf, sizeof(*t) + sizeof(template_slot) * (apr_size_t)slots->nelts);
    for (i = 0; i < slots->nelts; i++) {
        const webhook_slot *slot = &APR_ARRAY_IDX(slots, i, webhook_slot);

        for (k = 0; k < t->count && strcmp(t->slots[k].text, slot->text); k++) {
            continue;
        }
        if (k < t->count) {
            err = check_encoder(slot, pconf); /* the same value in another place */
        }
        else {
            err = compile(&t->slots[t->count++], slot, pconf, ptemp);
        }
        if (err) {
            return err;
        }
    }
    def->templates = t;
    return NULL;
}

/* ---- at acceptance ---- */

static webhook_slice freeze(wh_req *wq, request_rec *r, const wh_handler_def *def)
{
    const struct wh_templates *t = def->templates;
    webhook_slice shape;
    wh_buf b;
    int i;

    wh_buf_init(&b, r->pool, 256);
    wh_buf_adds(&b, "{");
    for (i = 0; i < t->count; i++) {
        const char *err = NULL, *value = ap_expr_str_exec(r, t->slots[i].expr, &err);

        if (err || !value) {
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r, "WH0370: endpoint %s: handler %s: %s has no value: %s", wq->auth->name, def->name,
                          t->slots[i].text, err ? err : "no reason given");
            value = NULL;
        }
        wh_shape_put(&b, t->slots[i].text, value, "could not be evaluated");
    }
    wh_buf_adds(&b, "}");
    shape.data = b.data;
    shape.len = b.len;
    return shape;
}

const webhook_slice *wh_templates_freeze(wh_req *wq, request_rec *r, const char *const *handlers, int count)
{
    const wh_global *g = wh_conf_global(r->server);
    webhook_slice *shapes = NULL;
    int i;

    for (i = 0; i < count; i++) {
        const wh_handler_def *def = apr_hash_get(g->handlers_by_name, handlers[i], APR_HASH_KEY_STRING);

        if (!def || !def->templates) {
            continue;
        }
        if (!shapes) {
            shapes = apr_pcalloc(r->pool, sizeof(*shapes) * (apr_size_t)count);
        }
        shapes[i] = freeze(wq, r, def);
    }
    return shapes;
}

/* ---- the encoders as functions ---- */

typedef const char *encoder(const char *in, apr_size_t len, apr_pool_t *p);

static const struct {
    const char *name;
    encoder *encode;
} encoders[] = {
    {"webhook_urlenc", wh_encode_for_url},
    {"webhook_jsonenc", wh_encode_for_json},
    {"webhook_textenc", wh_encode_for_text},
    {"webhook_nameenc", wh_encode_for_name},
};

static const char *expr_encode(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    encoder *const *encode = data;

    return (*encode)(arg ? arg : "", arg ? strlen(arg) : 0, ctx->p);
}

/* "#" is the whole document, whose pointer is empty: the syntax of expressions has no empty arguments. */
static const char *raw_pointer(wh_json_pointer **out, const char *text, apr_pool_t *p)
{
    return wh_json_pointer_compile(out, strcmp(text, "#") ? text : "", p);
}

/* The source of a value, numbers and order as received; null where there is none. */
static const char *expr_jsonraw(ap_expr_eval_ctx_t *ctx, const void *data, const char *arg)
{
    wh_req *wq = ctx->r ? wh_req_find(ctx->r) : NULL;
    const wh_json *doc = wq ? wh_req_json(wq) : NULL;
    const wh_json_pointer *pointer = data;
    const wh_json_value *value;
    webhook_slice source;

    if (!pointer) {
        wh_json_pointer *made;
        const char *err = raw_pointer(&made, arg ? arg : "", ctx->p);

        if (err) {
            *ctx->err = apr_psprintf(ctx->p, "webhook_jsonraw: a JSON pointer %s", err);
            return "null";
        }
        pointer = made;
    }
    value = doc ? wh_json_pointer_get(doc, pointer) : NULL;
    if (!value) {
        return "null";
    }
    source = wh_json_source(doc, value);
    return apr_pstrmemdup(ctx->p, source.data, source.len);
}

static int expr_lookup(ap_expr_lookup_parms *parms)
{
    wh_json_pointer *pointer;
    const char *err;
    apr_size_t i;

    if (parms->type != AP_EXPR_FUNC_STRING) {
        return DECLINED;
    }
    for (i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
        if (!ap_cstr_casecmp(parms->name, encoders[i].name)) {
            *parms->func = expr_encode;
            *parms->data = &encoders[i].encode;
            return OK;
        }
    }
    if (ap_cstr_casecmp(parms->name, "webhook_jsonraw")) {
        return DECLINED;
    }
    *parms->func = expr_jsonraw;
    *parms->data = NULL;
    if (parms->arg) {
        if ((err = raw_pointer(&pointer, parms->arg, parms->pool)) != NULL) {
            *parms->err = apr_psprintf(parms->ptemp, "webhook_jsonraw('%s'): a JSON pointer %s", parms->arg, err);
            return !OK;
        }
        *parms->data = pointer;
    }
    return OK;
}

void wh_templates_register(void)
{
    ap_hook_expr_lookup(expr_lookup, NULL, NULL, APR_HOOK_MIDDLE);
}
