# SPDX-License-Identifier: Apache-2.0
"""The framing of the console."""
import random
import unittest

import support  # noqa: F401  (sets the path)
from atoll.console import (PAYLOAD_BYTES_MAX, STREAM_ERROR, STREAM_OUTPUT, Decoder, ExitRecord,
                           encode_input, encode_output)


def decode(data, pieces=None):
    decoder, frames = Decoder(), []
    for piece in pieces or [data]:
        frames += decoder.feed(piece)
    decoder.finish()
    return frames, bytes(decoder.noise)


class ConsoleTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0010~1 @robust
    def test_frames_cut_anywhere(self):
        sent = [(STREAM_OUTPUT, b"hello\n"), (STREAM_ERROR, bytes([0xA7] * 9)), (4, b"\0\7\0\0")]
        data = b"".join(encode_output(*frame) for frame in sent)
        for cut in range(len(data) + 1):
            self.assertEqual(decode(None, [data[:cut], data[cut:]]), (sent, b""))
        self.assertEqual(decode(None, [bytes([b]) for b in data]), (sent, b""))

    # @verifies ATL-LLR-TOOL-0010~1 @robust
    def test_noise_before_frames_is_set_aside(self):
        frame = encode_output(STREAM_OUTPUT, b"x")
        for noise in (b"SeaBIOS\r\n", b"\xa7", b"\xa7\xa7", b"\xa7\x09\x01\x00", b"\xa7\x01\x00\x00",
                      b"\xa7\x01\xff\xff"):
            self.assertEqual(decode(noise + frame), ([(STREAM_OUTPUT, b"x")], noise))

    # @verifies ATL-LLR-TOOL-0010~1 @robust
    def test_unfinished_frame_becomes_noise(self):
        data = encode_output(STREAM_OUTPUT, b"abc")
        self.assertEqual(decode(data[:-1]), ([], data[:-1]))

    def test_random_bytes_never_raise_and_are_bounded(self):
        source = random.Random(1)
        decoder = Decoder()
        for _ in range(300):
            for stream, payload in decoder.feed(source.randbytes(1000)):
                self.assertTrue(1 <= stream <= 5 and 1 <= len(payload) <= PAYLOAD_BYTES_MAX)
        self.assertLessEqual(len(decoder.noise), 65536)

    def test_input_is_split_and_ends(self):
        data = bytes(range(256)) * 40
        encoded, got, position = encode_input(data), b"", 0
        while position < len(encoded):
            self.assertEqual(encoded[position:position + 2], b"\xa7\0")
            length = int.from_bytes(encoded[position + 2:position + 4], "little")
            self.assertTrue(1 <= length <= PAYLOAD_BYTES_MAX)
            got += encoded[position + 4:position + 4 + length]
            position += 4 + length
        self.assertEqual(got, data)
        self.assertEqual(encode_input(b""), b"\xa7\0\0\0")

    def test_exit_record(self):
        self.assertEqual(ExitRecord.parse(b"\0\xff\0\0"), ExitRecord(0, 255, 0))
        for bad in (b"", b"\0\0\0", b"\4\0\0\0", b"\1\0\x80\0"):
            self.assertIsNone(ExitRecord.parse(bad))


if __name__ == "__main__":
    unittest.main()
