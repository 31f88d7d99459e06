-- Sends every request of a file once: wrk ... -s post.lua URL -- FILE
-- Each thread reads FILE.NUMBER: requests as they go over the wire, each after a line with its length in bytes.
-- Nothing is put together here: wrk lets its first thread send while the next ones get ready, before it starts the clock.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  threads[#threads + 1] = thread
end

function init(args)
  requests, at, wanting = {}, 0, 0
  local file = assert(io.open(args[1] .. "." .. number, "rb"))
  for length in function() return file:read("*n", 1) end do
    requests[#requests + 1] = file:read(length)
  end
  file:close()
  held = #requests
end

function request()
  -- The first one is asked for to be looked at, of the first thread only, and is not sent.
  if number == 0 and not looked_at then
    looked_at = true
    return requests[1] or ""
  end
  at = at + 1
  if requests[at] then return requests[at] end
  -- Beyond the end nothing is sent, and the result says that more could have been: storage in memory takes a post twice.
  wanting = wanting + 1
  return ""
end

function done(summary, latency, _)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  local posts, beyond = 0, 0
  for _, thread in ipairs(threads) do
    posts, beyond = posts + thread:get("held"), beyond + thread:get("wanting")
  end
  io.write(string.format("RESULT %d %d %d %d %d %d %d\n", summary.requests, summary.duration, summary.errors.status, broken,
    latency:percentile(99.0), posts, beyond))
end
