using System.Buffers.Binary;
using System.Text;

namespace ModelSdk.Training.Native;

/// <summary>
/// Makes one version requirement of an ELF64 little-endian shared object weak, so that a loader that lacks the version goes on.
/// </summary>
/// <remarks>
/// libLibTorchSharp.so asks for GLIBCXX_3.4.32 of libstdc++ (GCC 13). The only symbol bound to it,
/// _ZSt21ios_base_library_initv, has no relocation and is never called, so Debian 12, Ubuntu 22.04 and RHEL 9 can run the
/// library once the requirement carries VER_FLG_WEAK (elf.h, Elf64_Vernaux.vna_flags).
/// </remarks>
internal static class ElfVersionPatch
{
    private const int DynamicSegment = 2;
    private const long TagStringTable = 5;
    private const long TagVersionNeeds = 0x6ffffffe;
    private const long TagVersionNeedCount = 0x6fffffff;
    private const ushort WeakFlag = 2;

    /// <summary>Sets VER_FLG_WEAK on every requirement named <paramref name="version"/>.</summary>
    /// <param name="image">The file's bytes, changed in place.</param>
    /// <param name="version">Version name, such as "GLIBCXX_3.4.32".</param>
    /// <returns>How many requirements were changed; 0 when the image has none of that name.</returns>
    /// <exception cref="InvalidDataException">The bytes are not an ELF64 little-endian image with a dynamic section.</exception>
    public static int MakeWeak(Span<byte> image, string version)
    {
        if (image.Length < 64 || !image[..4].SequenceEqual("\u007fELF"u8) || image[4] != 2 || image[5] != 1)
        {
            throw new InvalidDataException("Not an ELF64 little-endian image.");
        }

        try
        {
            return Patch(image, version);
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw new InvalidDataException("The ELF image is truncated or its tables point outside the file.", e);
        }
    }

    private static int Patch(Span<byte> image, string version)
    {
        var programHeaders = checked((int)Long(image, 32));
        int headerSize = Short(image, 54), headerCount = Short(image, 56);
        int dynamicOffset = -1, dynamicSize = 0;
        for (var i = 0; i < headerCount; i++)
        {
            var at = programHeaders + (i * headerSize);
            if (Int(image, at) == DynamicSegment)
            {
                dynamicOffset = checked((int)Long(image, at + 8));
                dynamicSize = checked((int)Long(image, at + 32));
            }
        }

        if (dynamicOffset < 0)
        {
            throw new InvalidDataException("The ELF image has no dynamic section.");
        }

        long strings = -1, needs = -1, count = 0;
        for (var at = dynamicOffset; at < dynamicOffset + dynamicSize; at += 16)
        {
            var value = Long(image, at + 8);
            switch (Long(image, at))
            {
                case TagStringTable: strings = value; break;
                case TagVersionNeeds: needs = value; break;
                case TagVersionNeedCount: count = value; break;
                default: break;
            }
        }

        if (strings < 0 || needs < 0)
        {
            return 0;
        }

        var stringTable = FileOffset(image, programHeaders, headerSize, headerCount, strings);
        var need = FileOffset(image, programHeaders, headerSize, headerCount, needs);
        var name = Encoding.ASCII.GetBytes(version + "\0");
        var changed = 0;
        for (var i = 0; i < count; i++)
        {
            int auxiliaries = Short(image, need + 2);
            var auxiliary = need + Int(image, need + 8);
            for (var j = 0; j < auxiliaries; j++)
            {
                if (image[(stringTable + Int(image, auxiliary + 8))..].StartsWith(name))
                {
                    var flags = image.Slice(auxiliary + 4, 2);
                    BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) | WeakFlag));
                    changed++;
                }

                auxiliary += Int(image, auxiliary + 12);
            }

            need += Int(image, need + 12);
        }

        return changed;
    }

    private static int FileOffset(ReadOnlySpan<byte> image, int headers, int size, int count, long address)
    {
        for (var i = 0; i < count; i++)
        {
            var at = headers + (i * size);
            long offset = Long(image, at + 8), start = Long(image, at + 16), length = Long(image, at + 32);
            if (Int(image, at) == 1 && address >= start && address < start + length)
            {
                return checked((int)(address - start + offset));
            }
        }

        throw new InvalidDataException("An address of the ELF image's dynamic section lies in no segment.");
    }

    private static ushort Short(ReadOnlySpan<byte> image, int at) => BinaryPrimitives.ReadUInt16LittleEndian(image.Slice(at, 2));

    private static int Int(ReadOnlySpan<byte> image, int at) => BinaryPrimitives.ReadInt32LittleEndian(image.Slice(at, 4));

    private static long Long(ReadOnlySpan<byte> image, int at) => BinaryPrimitives.ReadInt64LittleEndian(image.Slice(at, 8));
}
