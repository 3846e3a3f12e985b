#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes made.json: one good and some bad requests for every preset that has no recorded ones, straight from each sender's description,
with nothing of the module's code. Run by hand when a row is added: python3 made.py > made.json, python3 made.py keys > keys.json"""
import base64, hashlib, hmac, json, sys, urllib.parse

NOW = 1796000000
BODY = b'{"id":"evt_1","type":"order.created","event":"push","text":"Zo\xc3\xab \xe2\x82\xac <x>&y"}'
URL = "https://hooks.example.com/in/%s"
out = []


def mac(key, msg, alg="sha256"):
    return hmac.new(key.encode() if isinstance(key, str) else key, msg, alg)


def b64(b):
    return base64.b64encode(b).decode()


def b64u(b):
    return base64.urlsafe_b64encode(b).decode().rstrip("=")


def rec(name, note, key, headers, body, expect, method="POST", url=None, now=NOW):
    out.append({"id": "%s/%s" % (name, note), "provider": name, "key": key, "method": method, "url": url or URL % name,
                "headers": headers, "body": b64(body), "now": now, "expect": expect})


def family(name, key, headers, body=BODY, other="another secret", **kw):
    """headers(key, body, now) -> dict; a good one, a changed body, another secret, a missing signature"""
    h = headers(key, body)
    rec(name, "valid", key, h, body, "accept", **kw)
    rec(name, "wrong-secret", other, h, body, "reject", **kw)
    return h


def tampered(name, key, h, body=BODY, **kw):
    rec(name, "body-tampered", key, h, body.replace(b"1", b"2", 1), "reject", **kw)


def simple(name, header, key="the secret", alg="sha256", enc="hex", prefix="", decode=None, extra=None):
    def headers(k, body):
        d = mac(decode(k) if decode else k, body, alg).digest()
        h = {"Content-Type": "application/json", header: prefix + (d.hex() if enc == "hex" else b64(d))}
        h.update(extra or {})
        return h
    h = family(name, key, headers, other="00ff00ff" if decode else "another secret")
    tampered(name, key, h)
    g = dict(h)
    del g[header]
    rec(name, "signature-missing", key, g, BODY, "reject")
    g = dict(h)
    g[header] = g[header][:-1]
    rec(name, "signature-truncated", key, g, BODY, "reject")


def pairs(name, header, tsname, signame, template="%s.%s", key="the secret", sep=",", ms=False, old=400):
    def one(now, body=BODY):
        t = str(now * 1000 if ms else now)
        msg = template % (t, "\0")
        msg = msg.encode().replace(b"\0", body)
        return {"Content-Type": "application/json", header: "%s=%s%s%s=%s" % (tsname, t, sep, signame, mac(key, msg).hexdigest())}
    h = family(name, key, lambda k, b: one(NOW))
    tampered(name, key, h)
    rec(name, "too-old", key, one(NOW - old), BODY, "reject")
    rec(name, "future", key, one(NOW + old), BODY, "reject")


def standard(name, prefix="webhook", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"):
    raw = base64.b64decode(secret.replace("whsec_", ""))
    h = {"Content-Type": "application/json", prefix + "-id": "msg_1", prefix + "-timestamp": str(NOW),
         prefix + "-signature": "v1," + b64(mac(raw, b"msg_1.%d." % NOW + BODY).digest())}
    rec(name, "valid", secret, h, BODY, "accept")
    tampered(name, secret, h)
    rec(name, "wrong-secret", "whsec_" + b64(b"x" * 24), h, BODY, "reject")
    g = dict(h)
    g[prefix + "-signature"] = g[prefix + "-signature"].replace("v1,", "v2,")
    rec(name, "other-label", secret, g, BODY, "reject")


def token(name, headers, key="the token", body=BODY, url=None, bad=None, **kw):
    rec(name, "valid", key, headers, body, "accept", url=url, **kw)
    rec(name, "wrong-secret", "another token", headers, body, "reject", url=url, **kw)


for name, header in (("adyen-banking", "HmacSignature"),):
    simple(name, header, key="6C17F86FC9DDBB05BCBC1329BF70E0DB", enc="base64", decode=bytes.fromhex)
for name, header in (("asana", "X-Hook-Signature"), ("cal-com", "X-Cal-Signature-256"), ("clickup", "X-Signature"),
                     ("dropbox", "X-Dropbox-Signature"), ("forgejo", "X-Forgejo-Signature"), ("gocardless", "Webhook-Signature"),
                     ("gogs", "X-Gogs-Signature"), ("launchdarkly", "X-LD-Signature"), ("lemon-squeezy", "X-Signature"),
                     ("sentry", "Sentry-Hook-Signature"), ("viber", "X-Viber-Content-Signature")):
    simple(name, header)
for name, header in (("bitbucket", "X-Hub-Signature"), ("jira", "X-Hub-Signature"), ("meta", "X-Hub-Signature-256"),
                     ("mollie", "X-Mollie-Signature"), ("notion", "X-Notion-Signature"), ("npm", "x-npm-signature")):
    simple(name, header, prefix="sha256=")
simple("intercom", "X-Hub-Signature", alg="sha1", prefix="sha1=")
simple("vercel", "x-vercel-signature", alg="sha1")
for name, header in (("heroku", "Heroku-Webhook-Hmac-SHA256"), ("line", "X-Line-Signature"), ("quickbooks", "intuit-signature"),
                     ("woocommerce", "X-WC-Webhook-Signature"), ("xero", "x-xero-signature")):
    simple(name, header, enc="base64")
simple("x-twitter", "x-twitter-webhooks-signature", enc="base64", prefix="sha256=")
rec("viber", "valid-query", "the secret", {"Content-Type": "application/json"}, BODY, "accept",
    url=URL % "viber" + "?sig=" + mac("the secret", BODY).hexdigest())
good, bad = ("sha256=" + mac(k, BODY).hexdigest() for k in ("the secret", "old"))
rec("mollie", "two-lines", "the secret", {"Content-Type": "application/json", "X-Mollie-Signature": [bad, good]}, BODY, "accept")
for note, value in (("comma-behind", good + ","), ("comma-before", "," + good), ("empty-between", bad + ",," + good)):
    rec("mollie", note, "the secret", {"Content-Type": "application/json", "X-Mollie-Signature": value}, BODY, "reject")
rec("mollie", "empty-line", "the secret", {"Content-Type": "application/json", "X-Mollie-Signature": ["", good]}, BODY, "reject")
rec("mollie", "folded", "the secret", {"Content-Type": "application/json", "X-Mollie-Signature": bad + ", " + good}, BODY, "accept")

pairs("calendly", "Calendly-Webhook-Signature", "t", "v1")
pairs("elevenlabs", "ElevenLabs-Signature", "t", "v0", old=1900)
pairs("mux", "Mux-Signature", "t", "v1")
pairs("rootly", "X-Rootly-Signature", "t", "v1", template="%s%s")
pairs("tiktok", "TikTok-Signature", "t", "s")
for name in ("incident-io", "linq", "liveblocks", "replicate"):
    standard(name)
standard("svix", "svix")

# Box: either slot with its own key
ts = "2026-11-30T00:53:20Z"
box = {"Content-Type": "application/json", "BOX-DELIVERY-TIMESTAMP": ts, "BOX-SIGNATURE-VERSION": "1",
       "BOX-SIGNATURE-ALGORITHM": "HmacSHA256"}
sig = lambda k: b64(mac(k, BODY + ts.encode()).digest())
keys = {"primary": "first key", "secondary": "second key"}
rec("box", "valid-one-key", "first key", dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("first key")}), BODY, "accept")
rec("box", "valid", keys, dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("first key"), "BOX-SIGNATURE-SECONDARY": sig("second key")}), BODY, "accept")
rec("box", "valid-secondary", keys, dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("x"), "BOX-SIGNATURE-SECONDARY": sig("second key")}), BODY, "accept")
rec("box", "slots-swapped", keys, dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("second key"), "BOX-SIGNATURE-SECONDARY": sig("first key")}), BODY, "reject")
rec("box", "version-2", keys, dict(box, **{"BOX-SIGNATURE-VERSION": "2", "BOX-SIGNATURE-PRIMARY": sig("first key")}), BODY, "reject")
rec("box", "future-one-second", keys, dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("first key")}), BODY, "reject", now=NOW - 1)
rec("box", "body-tampered", keys, dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("first key")}), BODY + b" ", "reject")

# keys.json: keys in parts, by the names their senders have for them; for the tool alone, a configuration has its own
made, out = out, []
for name, header, key in (("line", "X-Line-Signature", {"channel_secret": "the secret"}),
                          ("quickbooks", "intuit-signature", {"verifier_token": "the secret"}),
                          ("xero", "x-xero-signature", {"webhookKey": "the secret", "note": "of the trial account"})):
    h = {"Content-Type": "application/json", header: b64(mac("the secret", BODY).digest())}
    rec(name, "valid-key-object", key, h, BODY, "accept")
    rec(name, "key-object-other", {k: "another" for k in key}, h, BODY, "reject")
h = {"Content-Type": "application/json", "X-Pusher-Key": "k1", "X-Pusher-Signature": mac("the secret", BODY).hexdigest()}
rec("pusher", "valid-key-object", {"key": "k1", "secret": "the secret"}, h, BODY, "accept")
rec("pusher", "key-of-another", [{"key": "k2", "secret": "the secret"}, {"id": "k1", "secret": "another"}], h, BODY, "reject")
rec("box", "valid-key-names", {"primary_key": "first key", "secondaryKey": "second key"},
    dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("x"), "BOX-SIGNATURE-SECONDARY": sig("second key")}), BODY, "accept")
rec("box", "key-names-swapped", {"primary_key": "second key", "secondary_key": "first key"},
    dict(box, **{"BOX-SIGNATURE-PRIMARY": sig("first key"), "BOX-SIGNATURE-SECONDARY": sig("second key")}), BODY, "reject")
keys, out = out, made

# URL in the message
u = URL % "square"
h = {"Content-Type": "application/json", "x-square-hmacsha256-signature": b64(mac("the secret", u.encode() + BODY).digest())}
rec("square", "valid", "the secret", h, BODY, "accept")
rec("square", "url-altered", "the secret", h, BODY, "reject", url=u + "?x=1")
tampered("square", "the secret", h)
u = URL % "hubspot-v2" + "?a=b%20c"
h = {"Content-Type": "application/json", "X-HubSpot-Signature-Version": "v2",
     "X-HubSpot-Signature": hashlib.sha256(b"the secret" + b"POST" + u.encode() + BODY).hexdigest()}
rec("hubspot-v2", "valid", "the secret", h, BODY, "accept", url=u)
rec("hubspot-v2", "url-altered", "the secret", h, BODY, "reject", url=u + "d")
rec("hubspot-v2", "method-altered", "the secret", h, BODY, "reject", url=u, method="PUT")
tampered("hubspot-v2", "the secret", h, url=u)
u = URL % "hubspot-v3" + "?a=b%20c"
t = str(NOW * 1000)
h = {"Content-Type": "application/json", "X-HubSpot-Request-Timestamp": t,
     "X-HubSpot-Signature-v3": b64(mac("the secret", b"POST" + u.encode() + BODY + t.encode()).digest())}
rec("hubspot-v3", "valid", "the secret", h, BODY, "accept", url=u)
rec("hubspot-v3", "too-old", "the secret", h, BODY, "reject", url=u, now=NOW + 301)
rec("hubspot-v3", "url-altered", "the secret", h, BODY, "reject", url=u + "d")
tampered("hubspot-v3", "the secret", h, url=u)

# Of escapes in the URL either spelling may have been signed, and no third one
for note, query, signed, expect in (("escapes-kept", "a=%3A%2F%20", "a=%3A%2F%20", "accept"), ("escapes-decoded", "a=%3A%2f%20", "a=:/%20", "accept"),
                                    ("escapes-half", "a=%3A%2F", "a=:%2F", "reject"), ("escapes-of-others", "a=%20b", "a= b", "reject"),
                                    ("escapes-made", "a=:/", "a=%3A%2F", "reject")):
    u = (URL % "hubspot-v3" + "?" + signed).encode()
    rec("hubspot-v3", note, "the secret", {"Content-Type": "application/json", "X-HubSpot-Request-Timestamp": t,
        "X-HubSpot-Signature-v3": b64(mac("the secret", b"POST" + u + BODY + t.encode()).digest())}, BODY, expect,
        url=URL % "hubspot-v3" + "?" + query)

# Mercado Pago: absent parts are dropped, the body is not signed
def mp(url, rid, unit):
    t = str(NOW * unit)
    q = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    m = ("id:%s;" % q["data.id"][0] if "data.id" in q else "") + ("request-id:%s;" % rid if rid else "") + "ts:%s;" % t
    h = {"Content-Type": "application/json", "x-signature": "ts=%s,v1=%s" % (t, mac("the secret", m.encode()).hexdigest())}
    if rid:
        h["x-request-id"] = rid
    return h
u = URL % "mercadopago" + "?data.id=123&type=payment"
rec("mercadopago", "valid", "the secret", mp(u, "req-1", 1), BODY, "accept", url=u)
rec("mercadopago", "valid-ms", "the secret", mp(u, "req-1", 1000), BODY, "accept", url=u)
rec("mercadopago", "valid-no-request-id", "the secret", mp(u, None, 1), BODY, "accept", url=u)
rec("mercadopago", "valid-no-data-id", "the secret", mp(URL % "mercadopago", "req-1", 1), BODY, "accept")
rec("mercadopago", "valid-empty-data-id", "the secret", mp(URL % "mercadopago", "req-1", 1), BODY, "accept", url=URL % "mercadopago" + "?data.id=")
x = URL % "mercadopago" + "?data.id=ORD01jq4s7&type=order"  # its SDK signs the id in lower case
rec("mercadopago", "valid-letters", "the secret", mp(x.lower(), "req-1", 1000), BODY, "accept", url=x)
rec("mercadopago", "letters-as-they-are", "the secret", mp(x, "req-1", 1000), BODY, "reject", url=x)
rec("mercadopago", "id-altered", "the secret", mp(u, "req-1", 1), BODY, "reject", url=u.replace("123", "124"))
rec("mercadopago", "request-id-moved-into-id", "the secret", {k: v for k, v in mp(u, "req-1", 1).items() if k != "x-request-id"}, BODY,
    "reject", url=URL % "mercadopago" + "?data.id=" + urllib.parse.quote("123;request-id:req-1"))

# Cloudinary SHA-256
h = {"Content-Type": "application/json", "X-Cld-Timestamp": str(NOW),
     "X-Cld-Signature": hashlib.sha256(BODY + str(NOW).encode() + b"the secret").hexdigest()}
rec("cloudinary-sha256", "valid", "the secret", h, BODY, "accept")
rec("cloudinary-sha256", "too-old", "the secret", h, BODY, "reject", now=NOW + 7201)
rec("cloudinary-sha256", "boundary-shift", "the secret", dict(h, **{"X-Cld-Timestamp": str(NOW)[1:]}), BODY + str(NOW)[:1].encode(), "reject")
tampered("cloudinary-sha256", "the secret", h)

# Lark
h = {"Content-Type": "application/json", "X-Lark-Request-Timestamp": str(NOW), "X-Lark-Request-Nonce": "n0nce",
     "X-Lark-Signature": hashlib.sha256(str(NOW).encode() + b"n0nce" + b"the secret" + BODY).hexdigest()}
rec("lark", "valid", "the secret", h, BODY, "accept")
tampered("lark", "the secret", h)
rec("lark", "nonce-altered", "the secret", dict(h, **{"X-Lark-Request-Nonce": "n0ncf"}), BODY, "reject")

for name, alg in (("lark-card", hashlib.sha1),):
    h = {"Content-Type": "application/json", "X-Lark-Request-Timestamp": str(NOW), "X-Lark-Request-Nonce": "n0nce",
         "X-Lark-Signature": alg(str(NOW).encode() + b"n0nce" + b"the secret" + BODY).hexdigest()}
    rec(name, "valid", "the secret", h, BODY, "accept")
    rec(name, "wrong-secret", "another secret", h, BODY, "reject")
    rec(name, "too-old", "the secret", h, BODY, "reject", now=NOW + 301)
    tampered(name, "the secret", h)

# Twitch
def twitch(now, mid="e76c6bd4-55c9-4987-8304-da1588d8988b"):
    import datetime
    t = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    return {"Content-Type": "application/json", "Twitch-Eventsub-Message-Id": mid, "Twitch-Eventsub-Message-Timestamp": t,
            "Twitch-Eventsub-Message-Type": "notification",
            "Twitch-Eventsub-Message-Signature": "sha256=" + mac("the secret", mid.encode() + t.encode() + BODY).hexdigest()}
rec("twitch", "valid", "the secret", twitch(NOW), BODY, "accept")
rec("twitch", "valid-base64-id", "the secret", twitch(NOW, "4R7gqJ8CzlqY28yi9VMnOm5SIQh0IdG4i9ky7B_ULk4="), BODY, "accept")
rec("twitch", "equals-sign-inside-id", "the secret", twitch(NOW, "4R7gqJ8CzlqY28yi9VMnOm5=IQh0IdG4i9ky7B_ULk4"), BODY, "reject")
rec("twitch", "too-old", "the secret", twitch(NOW - 602), BODY, "reject")
h = twitch(NOW)
tampered("twitch", "the secret", h)
h = twitch(NOW)
h["Twitch-Eventsub-Message-Id"] += h["Twitch-Eventsub-Message-Timestamp"][:1]
h["Twitch-Eventsub-Message-Timestamp"] = h["Twitch-Eventsub-Message-Timestamp"][1:]
rec("twitch", "boundary-shift", "the secret", h, BODY, "reject")

# Plivo v3
def plivo(url, params, nonce="12345", method="POST"):
    base, _, query = url.partition("?")
    q = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    m = base
    if q or params:
        m += "?" + "&".join("%s=%s" % x for x in q)
    if q and params:
        m += "."
    m += "".join("%s%s" % x for x in sorted(params)) + "." + nonce
    return {"Content-Type": "application/x-www-form-urlencoded", "X-Plivo-Signature-V3-Nonce": nonce,
            "X-Plivo-Signature-V3": b64(mac("the secret", m.encode()).digest())}
u = URL % "plivo-v3"
form = [("To", "15550100"), ("From", "+1 555"), ("Text", "a&b=c \u20ac")]
enc = urllib.parse.urlencode(form).encode()
rec("plivo-v3", "valid", "the secret", plivo(u, form), enc, "accept")
rec("plivo-v3", "valid-query", "the secret", plivo(u + "?b=2&a=1%202", form), enc, "accept", url=u + "?b=2&a=1%202")
rec("plivo-v3", "valid-get", "the secret", plivo(u + "?b=2&a=1", []), b"", "accept", url=u + "?b=2&a=1", method="GET")
h = plivo(u, form)
rec("plivo-v3", "valid-second-of-list", "the secret", dict(h, **{"X-Plivo-Signature-V3": b64(b"x" * 32) + "," + h["X-Plivo-Signature-V3"]}), enc, "accept")
rec("plivo-v3", "param-altered", "the secret", h, enc.replace(b"0100", b"0101"), "reject")
rec("plivo-v3", "nonce-altered", "the secret", dict(h, **{"X-Plivo-Signature-V3-Nonce": "12346"}), enc, "reject")

# Twilio JSON
u = URL % "twilio-json" + "?bodySHA256=" + hashlib.sha256(BODY).hexdigest()
h = {"Content-Type": "application/json", "X-Twilio-Signature": b64(mac("the secret", u.encode(), "sha1").digest())}
rec("twilio-json", "valid", "the secret", h, BODY, "accept", url=u)
rec("twilio-json", "valid-with-port", "the secret", h, BODY, "accept", url=u.replace(".com/", ".com:443/"))
tampered("twilio-json", "the secret", h, url=u)
u2 = URL % "twilio-json"
rec("twilio-json", "no-digest", "the secret", {"Content-Type": "application/json",
    "X-Twilio-Signature": b64(mac("the secret", u2.encode(), "sha1").digest())}, BODY, "reject")
up = URL % "twilio-json" + "?bodySHA256=" + hashlib.sha256(BODY).hexdigest().upper()
rec("twilio-json", "digest-upper-case", "the secret", {"Content-Type": "application/json",
    "X-Twilio-Signature": b64(mac("the secret", up.encode(), "sha1").digest())}, BODY, "reject", url=up)

# tokens
auth = lambda v: {"Content-Type": "application/json", "Authorization": v}
token("alertmanager", auth("Bearer the token"))
rec("alertmanager", "valid-basic", "user:pass:word", auth("Basic " + b64(b"user:pass:word")), BODY, "accept")
token("auth0", auth("the token"))
token("okta", auth("the token"))
token("chargebee", auth("Basic " + b64(b"user:pass")), key="user:pass")
token("cloudevents", auth("Bearer the token"))
rec("cloudevents", "valid-query", "the token", {"Content-Type": "application/cloudevents+json"}, BODY, "accept",
    url=URL % "cloudevents" + "?access_token=the%20token")
token("buildkite-token", {"Content-Type": "application/json", "X-Buildkite-Token": "the token"})
token("google-calendar", {"X-Goog-Channel-Token": "the token", "X-Goog-Resource-State": "exists"}, body=b"")
token("azure-event-grid", {"Content-Type": "application/json"}, url=URL % "azure-event-grid" + "?secret=the+token", body=b'[{"id":"1","eventType":"x"}]')
for name in ("datadog", "docker-hub", "freshdesk"):
    token(name, {"Content-Type": "application/json"}, url=URL % name + "?secret=the+token")
    rec(name, "valid-basic", "user:pass:word", auth("Basic " + b64(b"user:pass:word")), BODY, "accept")
    rec(name, "basic-other", "user:pass:word", auth("Basic " + b64(b"user:pass")), BODY, "reject")
form_type = {"Content-Type": "application/x-www-form-urlencoded"}
token("mollie-classic", form_type, url=URL % "mollie-classic" + "?secret=the+token", body=b"id=tr_d0b0E3EA3v")
token("figma", {"Content-Type": "application/json"}, body=b'{"event_type":"PING","passcode":"the token"}')
rec("figma", "passcode-missing", "the token", {"Content-Type": "application/json"}, b'{"event_type":"PING"}', "reject")
item = lambda s: b'{"subscriptionId":"s","clientState":"%s","changeType":"created"}' % s
token("msgraph", {"Content-Type": "application/json"}, body=b'{"value":[' + item(b"the token") + b"," + item(b"the token") + b"]}")
rec("msgraph", "second-item-bad", "the token", {"Content-Type": "application/json"},
    b'{"value":[' + item(b"the token") + b"," + item(b"x") + b"]}", "reject")
rec("msgraph", "no-items", "the token", {"Content-Type": "application/json"}, b'{"value":[]}', "reject")

# Dropbox Sign: multipart
def sign_form(time, kind, key="the secret", hash_=None):
    doc = json.dumps({"event": {"event_time": time, "event_type": kind,
                                "event_hash": hash_ or mac(key, (time + kind).encode()).hexdigest()}})
    return ("--XyZ\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n" + doc + "\r\n--XyZ--\r\n").encode()
mp_type = {"Content-Type": "multipart/form-data; boundary=XyZ"}
token("dropbox-sign", mp_type, key="the secret", body=sign_form(str(NOW), "signature_request_sent"))
rec("dropbox-sign", "type-altered", "the secret", mp_type,
    sign_form(str(NOW), "signature_request_viewed", hash_=mac("the secret", b"%dsignature_request_sent" % NOW).hexdigest()), "reject")
rec("dropbox-sign", "boundary-shift", "the secret", mp_type,
    sign_form(str(NOW)[:-1], str(NOW)[-1:] + "signature_request_sent"), "reject")  # no separator: only the time tells them apart
rec("dropbox-sign", "three-days-of-retries", "the secret", mp_type, sign_form(str(NOW - 3 * 86400 - 3600), "signature_request_sent"), "accept")
rec("dropbox-sign", "five-days", "the secret", mp_type, sign_form(str(NOW - 5 * 86400), "signature_request_sent"), "reject")

# JWT with shared secrets
def jwt(claims, key="the secret", alg="HS256", head=None):
    h = dict(head or {}, alg=alg, typ="JWT")
    m = b64u(json.dumps(h).encode()) + "." + b64u(json.dumps(claims).encode())
    return m + "." + b64u(mac(key, m.encode(), {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]).digest())
sha = hashlib.sha256(BODY)
u = URL % "messagebird"
claims = {"iss": "MessageBird", "iat": NOW, "nbf": NOW, "exp": NOW + 60, "jti": "j1", "url_hash": hashlib.sha256(u.encode()).hexdigest(),
          "payload_hash": sha.hexdigest()}
mb = lambda c, **kw: {"Content-Type": "application/json", "MessageBird-Signature-JWT": jwt(c, **kw)}
for alg in ("HS256", "HS384", "HS512"):
    rec("messagebird", "valid" if alg == "HS256" else "valid-" + alg, "the secret", mb(claims, alg=alg), BODY, "accept")
rec("messagebird", "wrong-secret", "another", mb(claims), BODY, "reject")
rec("messagebird", "body-tampered", "the secret", mb(claims), BODY + b" ", "reject")
rec("messagebird", "url-altered", "the secret", mb(claims), BODY, "reject", url=u + "?x")
rec("messagebird", "no-jti", "the secret", mb({k: v for k, v in claims.items() if k != "jti"}), BODY, "reject")
nobody = {k: v for k, v in claims.items() if k != "payload_hash"}
rec("messagebird", "valid-empty-body", "the secret", mb(nobody), b"", "accept")
rec("messagebird", "payload-hash-missing", "the secret", mb(nobody), BODY, "reject")
rec("messagebird", "expired-within-leeway", "the secret", mb(dict(claims, exp=NOW - 4)), BODY, "accept")
rec("messagebird", "expired", "the secret", mb(dict(claims, exp=NOW - 6)), BODY, "reject")
u = URL % "monday"
c = {"aud": u, "exp": NOW + 300, "iat": NOW}
rec("monday", "valid", "the secret", auth(jwt(c)), BODY, "accept")
rec("monday", "valid-bearer", "the secret", auth("Bearer " + jwt(c)), BODY, "accept")
rec("monday", "wrong-secret", "another", auth(jwt(c)), BODY, "reject")
rec("monday", "aud-other", "the secret", auth(jwt(dict(c, aud="https://other.example"))), BODY, "reject")
rec("monday", "expired", "the secret", auth(jwt(dict(c, exp=NOW))), BODY, "reject")
rec("monday", "no-exp", "the secret", auth(jwt({"aud": u})), BODY, "reject")
rec("fusionauth", "valid", "the secret", {"Content-Type": "application/json",
    "X-FusionAuth-Signature-JWT": jwt({"request_body_sha256": b64(sha.digest())})}, BODY, "accept")
rec("fusionauth", "body-tampered", "the secret", {"Content-Type": "application/json",
    "X-FusionAuth-Signature-JWT": jwt({"request_body_sha256": b64(sha.digest())})}, BODY + b" ", "reject")

# public keys
try:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, padding, utils
    from cryptography.hazmat.primitives import hashes, serialization
except ImportError:
    sys.exit("needs the Python package cryptography")
ed = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
pub = ed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
h = {"Content-Type": "application/json", "telnyx-timestamp": str(NOW), "telnyx-signature-ed25519": b64(ed.sign(b"%d|" % NOW + BODY))}
rec("telnyx", "valid", b64(pub), h, BODY, "accept")
rec("telnyx", "too-old", b64(pub), h, BODY, "reject", now=NOW + 301)
rec("telnyx", "future", b64(pub), h, BODY, "reject", now=NOW - 301)
tampered("telnyx", b64(pub), h)
rec("telnyx", "wrong-secret", b64(ed25519.Ed25519PrivateKey.from_private_bytes(b"\x08" * 32).public_key().public_bytes(
    serialization.Encoding.Raw, serialization.PublicFormat.Raw)), h, BODY, "reject")
h = {"Content-Type": "application/json", "X-Signature-Timestamp": str(NOW), "X-Signature-Ed25519": ed.sign(b"%d" % NOW + BODY).hex()}
rec("discord-events", "valid", pub.hex(), h, BODY, "accept")
rec("discord-events", "too-old", pub.hex(), h, BODY, "reject", now=NOW + 301)
tampered("discord-events", pub.hex(), h)
key = ec.derive_private_key(0x1234567890ABCDEF1234567890ABCDEF, ec.SECP256R1())
n = key.public_key().public_numbers()
jwk = {"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": b64u(n.x.to_bytes(32, "big")), "y": b64u(n.y.to_bytes(32, "big"))}


def es256(claims, kid="k1"):
    m = b64u(json.dumps({"alg": "ES256", "kid": kid, "typ": "JWT"}).encode()) + "." + b64u(json.dumps(claims).encode())
    r, s = utils.decode_dss_signature(key.sign(m.encode(), ec.ECDSA(hashes.SHA256())))
    return m + "." + b64u(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


plaid = lambda t: {"Content-Type": "application/json", "Plaid-Verification": t}
c = {"iat": NOW, "request_body_sha256": sha.hexdigest()}
rec("plaid", "valid", {"jwk": jwk}, plaid(es256(c)), BODY, "accept")
rec("plaid", "valid-jwks", {"keys": [dict(jwk, kid="k0"), jwk]}, plaid(es256(c)), BODY, "accept")
rec("plaid", "valid-key-by-id", {"keys_by_kid": {"k1": jwk}}, plaid(es256(c)), BODY, "accept")
rec("plaid", "valid-key-list", {"jwks": [jwk]}, plaid(es256(c)), BODY, "accept")
rec("plaid", "body-tampered", {"jwk": jwk}, plaid(es256(c)), BODY + b" ", "reject")
rec("plaid", "too-old", {"jwk": jwk}, plaid(es256(dict(c, iat=NOW - 301))), BODY, "reject")
rec("plaid", "issued-in-future", {"jwk": jwk}, plaid(es256(dict(c, iat=NOW + 60))), BODY, "reject")
rec("plaid", "no-iat", {"jwk": jwk}, plaid(es256({"request_body_sha256": sha.hexdigest()})), BODY, "reject")
rec("plaid", "unknown-kid", {"jwk": jwk}, plaid(es256(c, "k2")), BODY, "reject")
rec("plaid", "hs256-with-public-key", {"jwk": jwk}, plaid(jwt(c, key=json.dumps(jwk), head={"kid": "k1"})), BODY, "reject")
rsakey = rsa.generate_private_key(65537, 2048)
rn = rsakey.public_key().public_numbers()
rjwk = {"kty": "RSA", "kid": "r1", "alg": "RS256", "use": "sig", "n": b64u(rn.n.to_bytes(256, "big")), "e": "AQAB"}
rpem = rsakey.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def rs256(claims, kid="r1"):
    m = b64u(json.dumps({"alg": "RS256", "kid": kid, "typ": "JWT"}).encode()) + "." + b64u(json.dumps(claims).encode())
    return m + "." + b64u(rsakey.sign(m.encode(), padding.PKCS1v15(), hashes.SHA256()))


rec("kinde", "valid", {"jwks": {"keys": [rjwk]}}, {"Content-Type": "application/jwt"}, rs256({"event_id": "e1", "type": "user.created", "iat": NOW}).encode(), "accept")
rec("kinde", "tampered", {"jwks": {"keys": [rjwk]}}, {"Content-Type": "application/jwt"}, rs256({"event_id": "e1"}).encode()[:-2] + b"AA", "reject")
rec("kinde", "unknown-kid", {"jwks": {"keys": [rjwk]}}, {"Content-Type": "application/jwt"}, rs256({"event_id": "e1"}, "r2").encode(), "reject")
fusion = lambda t: {"Content-Type": "application/json", "X-FusionAuth-Signature-JWT": t}
c = {"request_body_sha256": b64(sha.digest())}
rec("fusionauth-public-key", "valid", {"public_key_pem": rpem}, fusion(rs256(c)), BODY, "accept")
rec("fusionauth-public-key", "valid-es256", {"jwk": jwk}, fusion(es256(c)), BODY, "accept")
rec("fusionauth-public-key", "body-tampered", {"public_key_pem": rpem}, fusion(rs256(c)), BODY + b" ", "reject")
rec("fusionauth-public-key", "hs256-with-public-key", {"public_key_pem": rpem}, fusion(jwt(c, key=rpem)), BODY, "reject")
rec("gong", "valid", {"public_key_pem": rpem}, auth(rs256({"webhook_url": URL % "gong"})), BODY, "accept")
rec("gong", "url-other", {"public_key_pem": rpem}, auth(rs256({"webhook_url": "https://x.example/"})), BODY, "reject")
zoho = {"jwks": {"keys": [rjwk]}, "org_id": "700001", "webhook_id": "900001"}
claims = {"iss": "orgId:700001", "aud": "webhookId:900001", "iat": NOW, "exp": NOW + 300}
desk = lambda t: {"Content-Type": "application/json", "X-ZDesk-JWT": t}
events = b'[{"eventType":"Ticket_Add","orgId":"700001","payload":{"id":"1"}}]'
rec("zoho-desk", "valid", zoho, desk(rs256(claims)), events, "accept")
rec("zoho-desk", "other-organisation", zoho, desk(rs256(dict(claims, iss="orgId:700002"))), events, "reject")
rec("zoho-desk", "other-webhook", zoho, desk(rs256(dict(claims, aud="webhookId:900002"))), events, "reject")
rec("zoho-desk", "no-audience", zoho, desk(rs256({k: v for k, v in claims.items() if k != "aud"})), events, "reject")
rec("zoho-desk", "expired", zoho, desk(rs256(dict(claims, exp=NOW - 1))), events, "reject")
rec("zoho-desk", "unknown-kid", zoho, desk(rs256(claims, "r2")), events, "reject")
rec("zoho-desk", "hs256-with-public-key", zoho, desk(jwt(claims, key=rpem, head={"kid": "r1"})), events, "reject")

if sys.argv[1:] == ["keys"]:
    out = keys
print("[\n" + ",\n".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False) for r in out) + "\n]")
