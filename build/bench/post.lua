-- wrk: POST the body in BENCH_BODY with its signature and a delivery id of its own each time, so that nothing is a duplicate.
local body = io.open(os.getenv("BENCH_BODY"), "rb"):read("*a")
local path = os.getenv("BENCH_PATH")
local head = "POST " .. path .. " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nUser-Agent: GitHub-Hookshot/bench\r\n" ..
  "X-GitHub-Event: push\r\nX-Hub-Signature-256: " .. os.getenv("BENCH_SIGNATURE") .. "\r\nContent-Length: " .. #body .. "\r\nX-GitHub-Delivery: "
local tail = "\r\n\r\n" .. body
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("tid", threads)
end
function init(args)
  n = 0
  prefix = os.getenv("BENCH_RUN") .. "-" .. tid .. "-"
end
function request()
  n = n + 1
  return head .. prefix .. n .. tail
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout, latency:percentile(50), latency:percentile(99)))
end
