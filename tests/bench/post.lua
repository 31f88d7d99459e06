-- Sends every request of a file once: wrk ... -s post.lua URL -- FILE
-- Each thread reads FILE.NUMBER: requests as they go over the wire, each after a line with its length in bytes.
-- Nothing is put together here: wrk lets its first thread send while the next ones get ready, before it starts the clock.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  requests, at = {}, 0
  local file = assert(io.open(args[1] .. "." .. number, "rb"))
  for length in function() return file:read("*n", 1) end do
    requests[#requests + 1] = file:read(length)
  end
  file:close()
end

function request()
  at = at + 1
  -- Beyond the end the last one is sent again and refused, which the result shows.
  return requests[math.min(at, #requests)]
end

function done(summary, latency, _)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration, summary.errors.status, broken,
    latency:percentile(99.0)))
end
