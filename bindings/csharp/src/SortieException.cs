#nullable enable

using System;

namespace Sortie
{
    /// <summary>Something that Sortie could not do.</summary>
    /// <remarks>
    /// Thrown as itself when the library refuses a call for a reason that is not in its arguments, such as too many requests.
    /// What is wrong with arguments is told by <see cref="ArgumentException"/> and its kin.
    /// </remarks>
    public class SortieException : Exception
    {
        internal SortieException(SortieResult result, string message) : base(message)
        {
            Result = result;
        }

        /// <summary>Why the call was refused; <see cref="SortieResult.Ok"/> if the request was accepted and failed later.</summary>
        public SortieResult Result { get; }
    }

    /// <summary>A request came to no whole response. A response of any status, 404 among them, is none of this.</summary>
    public sealed class RequestFailedException : SortieException
    {
        internal RequestFailedException(Response response, string message) : base(SortieResult.Ok, message)
        {
            Response = response;
        }

        /// <summary>What kind of failure it was.</summary>
        public SortieError Error => Response.Error;

        /// <summary>What there is of a response, and where the time went. Its status is 0 if none came.</summary>
        public Response Response { get; }
    }
}
